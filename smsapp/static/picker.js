// A box to search and choose by: the combobox of the ARIA practices. The server searches (campaigns/_choices.html);
// what is chosen stands in the drop-down or the boxes below: the form's own fields, which work without JavaScript.
"use strict";

(() => {
  const BOX = ".picker-box > input";
  const part = (box, what) => document.getElementById(`${box.id}-${what}`);
  const optionsOf = (box) => [...part(box, "list").querySelectorAll("[role=option]")];
  const activeOf = (box) => document.getElementById(box.getAttribute("aria-activedescendant") ?? "");
  const isOpen = (box) => box.getAttribute("aria-expanded") === "true";
  const isMany = (box) => "many" in box.dataset;

  function enhance(root) {
    for (const box of root.querySelectorAll(BOX)) {
      box.setAttribute("role", "combobox");
      box.setAttribute("aria-autocomplete", "list");
      box.setAttribute("aria-expanded", "false");
      box.setAttribute("aria-controls", `${box.id}-options`);
      settle(box);
      if (typed?.id === box.id) searchOn(box);
    }
  }

  // A part of the page is drawn anew while somebody types in it: they go on where they were.
  let typed = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const box = document.activeElement;
    if (!box.matches(BOX) || !box.dataset.typed || !event.detail.target.contains(box)) return;
    typed = {id: box.id, value: box.value, enter: box.dataset.enter};
  });
  function searchOn(box) {
    box.value = typed.value;
    Object.assign(box.dataset, {typed: "1", waits: "1"});
    if (typed.enter) box.dataset.enter = "1";
    typed = null;
    htmx.trigger(box, "look");
  }

  // The box shows what is chosen while nobody is searching.
  function settle(box) {
    const choice = part(box, "choice");
    delete box.dataset.typed;
    box.value = isMany(box) || !choice.value ? "" : choice.selectedOptions[0].text;
  }

  function close(box) {
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
    delete box.dataset.enter;
    part(box, "list").hidden = true;
  }

  function activate(box, option) {
    activeOf(box)?.removeAttribute("aria-selected");
    if (!option) return box.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    box.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({block: "nearest"});
  }

  function choose(box, value, text) {
    const choice = part(box, "choice");
    const changed = isMany(box) ? tick(choice, value, text) : select(choice, value, text);
    close(box);
    settle(box);
    if (changed) choice.dispatchEvent(new Event("change", {bubbles: true}));
  }

  function select(choice, value, text) {
    if (choice.value === value) return false;
    if (![...choice.options].some((option) => option.value === value)) choice.add(new Option(text, value));
    choice.value = value;
    return true;
  }

  function tick(choice, value, text) {
    let box = [...choice.querySelectorAll("input")].find((one) => one.value === value);
    if (!box) {
      const label = document.createElement("label");
      label.className = "form-check";
      box = Object.assign(document.createElement("input"), {
        type: "checkbox", className: "form-check-input", name: choice.dataset.name, value,
      });
      const words = Object.assign(document.createElement("span"), {className: "form-check-label", textContent: text});
      label.append(box, " ", words);
      choice.append(label);
    }
    box.closest("label").classList.remove("without-script");
    const changed = !box.checked;
    box.checked = true;
    return changed;
  }

  function take(box, option) {
    if (option) choose(box, option.dataset.value, option.dataset.text ?? "");
  }

  function step(box, by) {
    const options = optionsOf(box);
    const at = options.indexOf(activeOf(box));
    const next = at < 0 ? (by > 0 ? 0 : options.length - 1) : (at + by + options.length) % options.length;
    activate(box, options[next]);
  }

  const KEYS = {
    ArrowDown: (box) => (isOpen(box) ? step(box, 1) : htmx.trigger(box, "look")),
    ArrowUp: (box) => (isOpen(box) ? step(box, -1) : htmx.trigger(box, "look")),
    Enter: (box) => {
      if (box.dataset.typed && !box.value.trim() && !isMany(box)) choose(box, "", "");
      else if (isOpen(box) && !box.dataset.waits) take(box, activeOf(box));
      else if (box.dataset.typed) box.dataset.enter = "1";  // as soon as the answer is there
      else htmx.trigger(box, "look");
    },
    Escape: (box) => {
      close(box);
      settle(box);
    },
  };

  document.addEventListener("keydown", (event) => {
    const act = event.target.matches?.(BOX) && !event.isComposing ? KEYS[event.key] : null;
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act(event.target);
  });
  // What is typed to search by is no part of the campaign.
  document.addEventListener("input", (event) => {
    if (event.target.matches(BOX)) Object.assign(event.target.dataset, {typed: "1", waits: "1"});
  }, true);
  document.addEventListener("change", (event) => {
    if (event.target.matches(BOX)) event.stopPropagation();
  }, true);
  document.addEventListener("click", (event) => {
    const option = event.target.closest(".picker-list [role=option]");
    if (option) take(option.closest(".picker-box").querySelector("input"), option);
    else if (event.target.matches(BOX) && !isOpen(event.target)) htmx.trigger(event.target, "look");
  });
  // The list takes no focus from its box.
  document.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".picker-list")) event.preventDefault();
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(BOX)) event.target.select();
  });
  document.addEventListener("focusout", (event) => {
    const box = event.target;
    if (!box.matches(BOX)) return;
    if (box.dataset.typed && !box.value.trim() && !isMany(box)) return choose(box, "", "");
    close(box);
    settle(box);
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const box = event.detail.elt;
    if (!box.matches(BOX)) return;
    delete event.detail.parameters[box.name];
    event.detail.parameters.find = box.dataset.typed ? box.value : "";
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const box = document.getElementById(event.detail.target.id.replace(/-list$/, ""));
    if (!box?.matches(BOX) || !event.detail.target.matches(".picker-list")) return;
    delete box.dataset.waits;
    if (document.activeElement !== box) return close(box);
    box.setAttribute("aria-expanded", "true");
    part(box, "list").hidden = false;
    part(box, "status").textContent = part(box, "list").querySelector("p").textContent;
    const chosen = isMany(box) ? "" : part(box, "choice").value;
    const options = optionsOf(box);
    const first = box.dataset.typed ? options.find((option) => option.dataset.value) : null;
    activate(box, first ?? options.find((option) => option.dataset.value === chosen) ?? options[0]);
    if (box.dataset.enter) take(box, first);
  });
  document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));
  enhance(document);
})();
