// A long drop-down gets a box to search it by. Without JavaScript the drop-down stays as it is.
"use strict";

const FEW = 8;

function offerSearch(select) {
  const options = [...select.options];
  if (options.length <= FEW || select.previousElementSibling?.matches(".picker-search")) return;
  const search = document.createElement("input");
  search.type = "search";
  search.className = "form-control picker-search";
  search.placeholder = select.dataset.search;
  search.setAttribute("aria-label", select.dataset.search);
  search.autocomplete = "off";
  search.setAttribute("aria-controls", select.id);
  select.before(search);
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    const chosen = select.value;
    const fits = (option) => option.value === chosen || option.text.toLowerCase().includes(wanted);
    const found = options.filter((option) => !wanted || fits(option));
    select.replaceChildren(...found);
    select.value = chosen;
    // The matches are shown while somebody searches, and fold up again when the box is emptied.
    if (wanted) select.size = Math.min(FEW, Math.max(2, found.length));
    else select.removeAttribute("size");
  });
  // What is typed here is no part of the campaign.
  search.addEventListener("change", (event) => event.stopPropagation());
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const wanted = search.value.trim().toLowerCase();
    const match = [...select.options].find((option) => option.value && option.text.toLowerCase().includes(wanted));
    if (match) choose(match.value);
  });
  select.addEventListener("change", () => {
    if (search.value) choose(select.value);
  });
  function choose(value) {
    const changed = select.value !== value;
    search.value = "";
    select.replaceChildren(...options);
    select.removeAttribute("size");
    select.value = value;
    if (changed) select.dispatchEvent(new Event("change", {bubbles: true}));
  }
}

function offerSearches(root) {
  for (const select of root.querySelectorAll("select[data-search]")) offerSearch(select);
}
document.addEventListener("htmx:load", (event) => offerSearches(event.detail.elt));
offerSearches(document);
