// Small conveniences. Every page works without them.
"use strict";

// Data, no class: Tabler asks for parts of class names, so each new class has all styles below it worked out anew.
document.documentElement.dataset.js = "";

// Copy buttons appear only where copying works.
function offerCopying(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
    const text = button.querySelector("span");
    const before = text.textContent;
    text.textContent = button.dataset.copied;
    setTimeout(() => { text.textContent = before; }, 1600);
  }
  // A menu closes when something else is clicked.
  for (const menu of document.querySelectorAll("details[data-drop][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-drop][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Filters are sent when a choice changes; htmx does it where the form names a target.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto-submit]");
  if (form && !form.dataset.hxGet) form.requestSubmit();
});

// A form is sent once, however often its button is pressed. Coming back by the history makes it usable again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.dataset.hxPost || "again" in form.dataset || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Countdowns: <time data-countdown datetime="...">; the text is redrawn each second in the page's language.
function unitFormat(unit) {
  return new Intl.NumberFormat(document.documentElement.lang, {style: "unit", unit, unitDisplay: "short"});
}
const SIZES = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const UNITS = SIZES.map(([unit, size]) => [unitFormat(unit), size]);
function unitText(count, format) {
  return format.format(count).replace(/(\d)(?=\p{Script=Han})/gu, "$1 ");  // as the server writes it
}
function countdown(seconds) {
  const parts = [];
  for (const [format, size] of UNITS) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count) parts.push(unitText(count, format));
  }
  return parts.slice(0, 2).join(" ") || unitText(0, UNITS.at(-1)[0]);
}
setInterval(() => {
  for (const element of document.querySelectorAll("time[data-countdown]")) {
    element.textContent = countdown(Math.max(0, Math.round((new Date(element.dateTime) - Date.now()) / 1000)));
  }
}, 1000);

// A failed request says so instead of leaving an old page standing; our error pages say it in their own words.
function showTrouble(event) {
  const box = document.getElementById("trouble");
  const answer = new DOMParser().parseFromString(event.detail.xhr?.responseText ?? "", "text/html");
  const sentences = [...answer.querySelectorAll("[data-error] p")].map((sentence) => sentence.textContent.trim());
  box.textContent = sentences.join(" ") || box.dataset.text;
  const link = document.createElement("a");
  const offered = answer.querySelector("a[data-error-link]");
  link.href = offered ? offered.getAttribute("href") : window.location.href;
  // The page with what was typed stays open beside it.
  if (offered) link.target = "_blank";
  link.textContent = offered ? offered.textContent : box.dataset.retry;
  box.append(" ", link);
  box.hidden = false;
}
// Who has signed in again in another tab goes on with a new token; the request is repeated once.
function tokenRenewed(event) {
  const token = event.detail.xhr?.getResponseHeader("X-CSRF-Token");
  const source = event.detail.elt;
  if (!token || source.dataset.repeated) return false;
  document.body.dataset.hxHeaders = JSON.stringify({"X-CSRFToken": token});
  for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = token;
  source.dataset.repeated = "1";
  const {verb, path} = event.detail.requestConfig;
  htmx.ajax(verb, path, {source, target: event.detail.target}).finally(() => { delete source.dataset.repeated; });
  return true;
}
document.addEventListener("htmx:sendError", showTrouble);
document.addEventListener("htmx:responseError", (event) => {
  if (!tokenRenewed(event)) showTrouble(event);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) document.getElementById("trouble").hidden = true;
});
// "outerHTML" tells each element of the old piece that it goes: of a long table that takes a phone longer than drawing
// the new one. A piece that refreshes by itself and holds nothing to be told says
// `data-hx-ext="replace" data-hx-swap="replace"`.
htmx.defineExtension("replace", {
  handleSwap(style, piece, answer, settling) {
    if (style !== "replace") return false;
    const fresh = answer.firstElementChild;
    piece.replaceWith(fresh);
    settling.elts = [fresh];
    return [fresh];
  },
});
// What a refreshed piece has to say is read to those who do not see it: politely, at once when its state changes, else
// at most every 20 seconds. `data-announce` names the element in the piece whose text it is.
const PAUSE = 20000;
const heard = new Map();
const speaker = document.getElementById("announcer");
function announce(text) {
  speaker.textContent = "";
  setTimeout(() => { speaker.textContent = text; }, 100);  // a live region is read when its text changes
}
function textOf(piece) {
  const parts = [...piece.querySelectorAll(piece.dataset.announce)];
  return parts.map((part) => part.textContent.trim().replace(/\s+/g, " ")).find(Boolean) ?? "";
}
for (const piece of document.querySelectorAll("[data-announce]")) {
  heard.set(piece.id, {text: textOf(piece), state: piece.dataset.state, at: Date.now()});
}
document.addEventListener("htmx:afterSwap", () => {
  for (const piece of document.querySelectorAll("[data-announce]")) {
    const text = textOf(piece);
    const before = heard.get(piece.id) ?? {text: "", state: piece.dataset.state, at: 0};
    const moved = before.state !== piece.dataset.state;
    // What was said when the page came is over once the state has changed.
    if (moved) for (const flash of document.querySelectorAll("#flashes .flash-success")) flash.remove();
    const speaks = text && text !== before.text && (moved || Date.now() - before.at >= PAUSE);
    if (speaks) announce(text);
    const state = piece.dataset.state;
    heard.set(piece.id, speaks ? {text, state, at: Date.now()} : {...before, state});
  }
});
const flashes = [...document.querySelectorAll("#flashes .flash")].map((flash) => flash.textContent.trim()).join(" ");
if (flashes) announce(flashes);

document.addEventListener("htmx:load", (event) => offerCopying(event.detail.elt));
offerCopying(document);
