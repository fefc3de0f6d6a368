/* Offers the computer's own time zone, which only a script can know, beside the list of zones. */
"use strict";

for (const button of document.querySelectorAll("button[data-zone-for]")) {
  const select = document.getElementById(button.dataset.zoneFor);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const option = [...select.options].find((each) => each.value === zone);
  const refresh = () => {
    button.hidden = !option || select.value === zone;
  };
  if (option) {
    button.textContent = button.dataset.text.replace("{zone}", option.textContent);
  }
  button.addEventListener("click", () => {
    select.value = zone;
    refresh();
    select.focus();
  });
  select.addEventListener("change", refresh);
  refresh();
}
