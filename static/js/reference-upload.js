/* More files than the server reads in one request are told of before they are sent. */
"use strict";

const warning = document.querySelector("[data-most-files]");
const files = warning?.closest("form")?.querySelector("input[type=file]");

if (warning && files) {
  const most = Number(warning.dataset.mostFiles);
  const look = () => {
    warning.hidden = files.files.length <= most;
    return warning.hidden;
  };
  files.addEventListener("change", look);
  files.form.addEventListener("submit", (event) => {
    if (!look()) {
      event.preventDefault();
      files.focus();
    }
  });
}
