// The preview for a person is looked up by its own button.
"use strict";

// Enter looks for the person whose text is to be shown; it does not save the campaign.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.id !== "who") return;
  event.preventDefault();
  document.getElementById("find-person").click();
});
// What is typed there is no part of the campaign.
document.addEventListener("change", (event) => {
  if (event.target.id === "who") event.stopPropagation();
}, true);
