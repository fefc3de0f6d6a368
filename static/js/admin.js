/* Django's boxes of two lists put names on plain spans, which screen readers may leave out. */
"use strict";

window.addEventListener("load", () => {
  for (const mark of document.querySelectorAll("span[aria-label]:not([role])")) mark.setAttribute("role", "img");
});
