// Completes the last of several tags: the list of suggestions offers each known tag behind those typed already.
for (const input of document.querySelectorAll("[data-tags] input[list]")) {
  const list = document.getElementById(input.getAttribute("list"));
  const known = [...list.options].map((option) => option.value);
  const suggest = () => {
    const typed = input.value.split(/[,，、;；]/);
    const before = typed.slice(0, -1).map((tag) => tag.trim()).filter(Boolean);
    const lead = before.length ? before.join(", ") + ", " : "";
    const taken = new Set(before.map((tag) => tag.toLowerCase()));
    const rest = known.filter((tag) => !taken.has(tag.toLowerCase()));
    list.replaceChildren(...rest.map((tag) => new Option("", lead + tag)));
  };
  input.addEventListener("input", suggest);
  suggest();
}
