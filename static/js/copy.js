/* Buttons that copy a text; without this, or without leave to copy, they stay hidden. */
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  const text = button.textContent;
  button.hidden = false;
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
    } catch {
      getSelection().selectAllChildren(source); // then Ctrl-C does it
      return;
    }
    button.textContent = button.dataset.copied;
    setTimeout(() => {
      button.textContent = text;
    }, 2000);
  });
}
