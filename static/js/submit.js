/* The submit page: drop zone, fields that follow the file, errors put in their places; upload.js
   sends the file. Without scripts the form works as an ordinary one. Texts come from the page. */
"use strict";

/** Make the form on the page, or one that took its place, do what it can do with scripts. */
function enhance(form) {
  const part = (selector) => form.querySelector(selector);
  const texts = part("#file").dataset;
  const input = part("input[type=file]");
  const drop = part(".drop");
  const problem = part("[data-file-problem]");
  const found = part("[data-found]");
  const touched = new Set();

  // --- Which fields are shown ----------------------------------------------------------------
  const chosen = (name) => form.elements[name].value;

  function showFitting() {
    const values = { format: chosen("format"), architecture: chosen("architecture"), size: chosen("size_rule") };
    for (const [kind, value] of Object.entries(values)) {
      const attribute = `data-for-${kind}`;
      for (const group of form.querySelectorAll(`[${attribute}]`)) {
        group.hidden = !group.getAttribute(attribute).split(" ").includes(value);
      }
    }
  }

  function setField(name, value) {
    const field = form.elements[name];
    if (!field || touched.has(name) || value === undefined || value === null) return;
    field.value = value;
  }

  function fillDefaults() {
    const defaults = JSON.parse(form.dataset.defaults);
    const key = chosen("format") === "onnx" ? "onnx" : chosen("architecture");
    for (const [name, value] of Object.entries(defaults[key] ?? {})) setField(name, value);
  }

  form.addEventListener("change", (event) => {
    const { name } = event.target;
    if (name !== "checkpoint") touched.add(name);
    // Ranges that somebody has chosen are no guess that has to be looked at.
    if (/_range$|^channel_order$/.test(name) && !touched.has("hold")) form.elements.hold.checked = false;
    if (name === "format" || name === "architecture") fillDefaults();
    showFitting();
  });

  // --- The file ------------------------------------------------------------------------------
  function say(message) {
    problem.textContent = message;
    problem.hidden = !message;
    input.setAttribute("aria-invalid", String(Boolean(message)));
    part("#file").classList.toggle("has-error", Boolean(message));
  }

  function showChosen() {
    const file = input.files[0];
    const label = part("[data-chosen]");
    label.hidden = !file;
    label.textContent = file ? `${file.name} · ${writeBytes(file.size)}` : "";
    drop.classList.toggle("is-filled", Boolean(file));
    if (file) part("[data-choose-again]")?.setAttribute("hidden", "");
  }

  async function look() {
    const file = input.files[0];
    showChosen();
    found.hidden = true;
    for (const error of form.querySelectorAll("#file > .field-error:not([data-file-problem])")) error.remove();
    say(file ? complaint(file) : "");
    if (!file || complaint(file)) return;
    const about = await CheckpointFile.inspect(file).catch(() => null);
    if (input.files[0] !== file) return;
    describe(about);
    if ((await CheckpointUpload.begunBefore(form, file)) && input.files[0] === file) {
      found.textContent = `${found.textContent} ${texts.textBegun}`;
    }
  }

  function complaint(file) {
    if (file.size === 0) return texts.textEmpty;
    return file.size > Number(form.dataset.limit) ? texts.textTooLarge : "";
  }

  function describe(about) {
    found.hidden = false;
    if (!about) {
      found.textContent = texts.textUnrecognized;
      return;
    }
    // Another file: what was chosen for the one before does not hold for this.
    for (const name of ["format", "architecture", "content_input", "style_input", "size_rule"]) touched.delete(name);
    setField("format", about.format);
    if (about.format === "auto") {
      found.textContent = about.isProgram ? texts.textProgram : texts.textPickle;
      showFitting();
      return;
    }
    setField("architecture", about.architecture);
    fillDefaults();
    for (const [name, value] of Object.entries(about.parameters ?? {})) {
      setField(`${about.architecture}_${name}`, value);
    }
    if (about.format === "safetensors" && !about.architecture) {
      found.textContent = texts.textUnknown;
      showFitting();
      return;
    }
    let what = "ONNX";
    if (about.architecture) what = form.elements.architecture.selectedOptions[0].textContent;
    const content = about.inputs?.find((each) => !/style/i.test(each.name)) ?? about.inputs?.[0];
    if (content) {
      const style = about.inputs.find((each) => each !== content);
      setField("content_input", content.name);
      setField("style_input", about.inputs.length === 2 && style ? style.name : "");
      const isFixed = Boolean(content.height && content.width);
      setField("size_rule", isFixed ? "fixed" : "multiple_of");
      if (isFixed) {
        setField("fixed_height", content.height);
        setField("fixed_width", content.width);
        what = fill(texts.textFixed, { what, height: content.height, width: content.width });
      }
    }
    found.textContent = fill(texts.textRecognized, { what });
    showFitting();
  }

  input.addEventListener("change", look);
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("is-over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, () => drop.classList.remove("is-over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (input.matches(":disabled") || !event.dataTransfer.files.length) return;
    if (event.dataTransfer.files.length > 1) {
      say(texts.textOne);
      return;
    }
    input.files = event.dataTransfer.files;
    look();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = input.files[0];
    if (file && complaint(file)) {
      say(complaint(file));
      input.focus();
      return;
    }
    send(form);
  });

  part("[data-needs-script]").hidden = false;
  showFitting();
  showChosen();
}

/** Send the file, then the form with the name of the upload in the place of the file. */
function send(form) {
  const file = form.querySelector("input[type=file]").files[0];
  const body = new FormData(form); // before the fields are disabled: those are left out
  body.delete("checkpoint");
  if (!file || !tus.isSupported) {
    form.submit();
    return;
  }
  CheckpointUpload.start(form, file, async (id, { end, leave }) => {
    const texts = form.querySelector("#upload").dataset;
    const answer = await fetch(`${form.action}?upload=${id}`, {
      method: "POST",
      body,
      headers: { "X-Requested-With": "XMLHttpRequest" },
    }).catch(() => null);
    if (!answer) {
      end(texts.textNotSubmitted, "retry");
      return;
    }
    removeEventListener("beforeunload", leave);
    const address = answer.headers.get("Location");
    if (answer.status === 201 && address) {
      await CheckpointUpload.forget(form, file);
      location.assign(address);
    } else if (answer.redirected) {
      location.assign(answer.url); // the session has ended
    } else {
      if (answer.headers.get("X-Upload") === "over") await CheckpointUpload.forget(form, file);
      if (!replace(form, await answer.text())) end(fill(texts.textFailed, { status: answer.status }), "retry");
    }
  });
}

/** Put the answer's form, with its errors, in the place of this one; the chosen file stays. */
function replace(form, html) {
  const answer = new DOMParser().parseFromString(html, "text/html").querySelector("#submit-panel");
  if (!answer) return false;
  const { files } = form.querySelector("input[type=file]");
  document.querySelector("#submit-panel").replaceWith(answer);
  const fresh = answer.querySelector("#submit-form");
  if (fresh) {
    fresh.querySelector("input[type=file]").files = files;
    enhance(fresh);
    fresh.querySelector(".has-error :is(input, select, textarea)")?.focus({ preventScroll: true });
  }
  (answer.querySelector("[role=alert]:not([hidden])") ?? answer).scrollIntoView({ block: "center" });
  return true;
}

// A file that misses the drop zone must not take the place of the page.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => event.preventDefault());
}

const submitForm = document.querySelector("#submit-form");
if (submitForm) enhance(submitForm);
