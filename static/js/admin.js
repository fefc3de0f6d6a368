/* Two things in Django's admin that screen readers stumble over, put right. */
"use strict";

window.addEventListener("load", () => {
  // The names of the boxes of two lists stand on plain spans, where they may be left out.
  for (const mark of document.querySelectorAll("span[aria-label]:not([role])")) mark.setAttribute("role", "img");
  // A heading of nothing above the rows of an inline table is an ordinary, empty cell.
  for (const heading of document.querySelectorAll("th:empty")) {
    const cell = document.createElement("td");
    cell.className = heading.className;
    heading.replaceWith(cell);
  }
});
