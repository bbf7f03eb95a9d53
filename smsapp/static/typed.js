// What somebody typed into a form is there again after Back, Forward and a reload: the browser itself forgets it,
// because these pages are not stored. It lies in this tab's own storage, for the person who typed it, until a form was
// taken. Whoever leaves such a page by a link is asked first, and Ctrl+S saves.
"use strict";

(() => {
  const KEPT = "form[data-keep-typed]";
  const SENT = "typed-sent";
  const person = document.body.dataset.person;
  if (!person) {
    sessionStorage.clear();
    document.querySelector("form[data-send-at-once]")?.requestSubmit();
    return;
  }
  const key = `typed:${person}:${location.pathname}`;
  const cameBack = ["back_forward", "reload"].includes(performance.getEntriesByType("navigation")[0]?.type);
  let changed = false;

  // No password, no file, no token, not the person whose text is looked at, and no words to search by.
  function fields(form) {
    const secrets = new Set(["csrf_token", "who"]);
    for (const field of form.elements) if (field.type === "password") secrets.add(field.name);
    return [...new FormData(form)].filter(([name, value]) => typeof value === "string" && !isUnkept(name, secrets));
  }

  const isUnkept = (name, secrets) => secrets.has(name) || name.startsWith("find-");
  const typedFields = (form) => fields(form).filter(([name]) => name !== "version");

  // The server draws the page with these fields, as after signing in again: with every part that depends on them.
  async function refill(typed) {
    const address = new URL(location.href);
    address.searchParams.set("refill", "1");
    const answer = await fetch(address, {method: "POST", body: new URLSearchParams(typed)});
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = page.querySelector("main");
    document.querySelector("main").replaceWith(main);
    htmx.process(main);
    htmx.trigger(main, "htmx:load", {elt: main});
    main.dataset.refilled = "1";
  }

  // The server has answered the form that was sent last: it is not needed any more.
  if (!cameBack && sessionStorage.getItem(SENT)) {
    sessionStorage.removeItem(sessionStorage.getItem(SENT));
    sessionStorage.removeItem(SENT);
  }
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(KEPT) || event.target.dataset.hxPost) return;
    sessionStorage.setItem(SENT, key);
    changed = false;
  });
  window.addEventListener("beforeunload", (event) => {
    if (changed) event.preventDefault();
  });
  // “Cancel” is an answer already.
  document.addEventListener("click", (event) => {
    if (!event.target.closest(`${KEPT} :is(.form-actions, .campaign-bar) a`)) return;
    changed = false;
    sessionStorage.removeItem(key);
  });
  document.addEventListener("keydown", (event) => {
    const form = document.querySelector(KEPT);
    if (!form || event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    const save = form.querySelector("button[name=do][value=save]") ?? form.querySelector(".form-actions button");
    if (!save) return;
    event.preventDefault();
    form.requestSubmit(save);
  });
  for (const change of ["input", "change"]) {
    document.addEventListener(change, (event) => {
      const form = event.target.closest(KEPT);
      if (!form || event.target.name?.startsWith("find-")) return;
      sessionStorage.setItem(key, JSON.stringify(fields(form)));
      changed = true;
    });
  }
  // A draft that saves itself is safe as far as it was when it was sent.
  let sent = "";
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = document.querySelector(KEPT);
    if (event.target.id === "autosave" && form) sent = JSON.stringify(typedFields(form));
  });
  document.addEventListener("draft-saved", () => {
    const form = document.querySelector(KEPT);
    if (!form || sent !== JSON.stringify(typedFields(form))) return;
    changed = false;
    sessionStorage.removeItem(key);
  });
  const typed = sessionStorage.getItem(key);
  if (cameBack && typed && document.querySelector(KEPT)) refill(JSON.parse(typed));
  document.querySelector("form[data-send-at-once]")?.requestSubmit();
})();
