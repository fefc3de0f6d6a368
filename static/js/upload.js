/* Sending a checkpoint: in pieces that go on after a cut, a pause or a reload, by tus-js-client.
   When all of it is there the form is sent with the upload's id in the place of the file. */
"use strict";

const language = document.documentElement.lang;
const fill = (template, facts) => template.replace(/\[(\w+)\]/g, (whole, name) => facts[name] ?? whole);

const amount = (value, unit, digits = 0) =>
  new Intl.NumberFormat(language, {
    style: "unit",
    unit,
    unitDisplay: "short",
    maximumFractionDigits: digits,
    minimumFractionDigits: digits,
  }).format(value);

function writeBytes(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  let step = 0;
  while (bytes >= 1024 && step < units.length - 1) {
    bytes /= 1024;
    step += 1;
  }
  return amount(bytes, units[step], step > 0 ? 1 : 0);
}

function writeSeconds(seconds) {
  if (seconds < 60) return amount(Math.max(1, Math.ceil(seconds)), "second");
  if (seconds < 3600) return amount(Math.ceil(seconds / 60), "minute");
  return amount(seconds / 3600, "hour", 1);
}

const CheckpointUpload = (() => {
  const PIECE_BYTES = 8 * 2 ** 20;
  const RETRY_AFTER_MS = [0, 1000, 3000, 5000, 10000, 20000, 30000];
  const WINDOW_MS = 8000; // the speed shown is that of the last few seconds
  const complete = new WeakMap(); // of files that are on the server already: their uploads

  const endpointOf = (form) => new URL(form.dataset.uploads, location.href).href;
  const csrfOf = (form) => form.elements.csrfmiddlewaretoken.value;

  /** Say whether some of the file was sent before, in this browser. */
  async function begunBefore(form, file) {
    if (complete.has(file)) return false;
    const found = await new tus.Upload(file, { endpoint: endpointOf(form) }).findPreviousUploads();
    return found.length > 0;
  }

  /** Forget that the file was sent: the next time it is sent anew. */
  async function forget(form, file) {
    complete.delete(file);
    const { urlStorage } = tus.defaultOptions;
    for (const each of await new tus.Upload(file, { endpoint: endpointOf(form) }).findPreviousUploads()) {
      await urlStorage.removeUpload(each.urlStorageKey);
    }
  }

  /** Send the file, show how far it is, then hand the upload's id to ``whenComplete``. */
  function start(form, file, whenComplete) {
    const panel = form.querySelector("#upload");
    const texts = panel.dataset;
    const part = (name) => panel.querySelector(`[data-upload-${name}]`);
    const bar = panel.querySelector("progress");
    const fields = form.querySelector(".submit-fields");
    const buttons = ["pause", "resume", "cancel", "retry"];
    const leave = (event) => event.preventDefault(); // "leave the page?" while something is sent
    let samples = [];

    function show(sent, total) {
      const at = performance.now();
      samples = [...samples.filter((each) => at - each.at < WINDOW_MS), { at, sent }];
      const seconds = (at - samples[0].at) / 1000;
      const rate = (sent - samples[0].sent) / Math.max(seconds, 0.001);
      bar.value = (100 * sent) / total;
      part("percent").textContent = new Intl.NumberFormat(language, { style: "percent" }).format(sent / total);
      part("numbers").textContent = fill(texts.textSent, { sent: writeBytes(sent), total: writeBytes(total) });
      const isKnown = seconds > 0.5 && rate > 0;
      part("rate").textContent = isKnown ? fill(texts.textRate, { rate: writeBytes(rate) }) : "";
      const left = (total - sent) / rate;
      part("left").textContent = isKnown && left > 0.5 ? fill(texts.textLeft, { time: writeSeconds(left) }) : "";
      if (part("message").dataset.is === "trouble") say("");
    }

    function say(message, is = "") {
      part("message").textContent = message;
      part("message").dataset.is = is;
    }

    function offer(...names) {
      const hadFocus = panel.contains(document.activeElement);
      for (const name of buttons) part(name).hidden = !names.includes(name);
      if (hadFocus && names.length) part(names[0]).focus();
    }

    function quieten() {
      samples = [];
      part("rate").textContent = part("left").textContent = "";
    }

    function end(message, ...names) {
      removeEventListener("beforeunload", leave);
      fields.disabled = false;
      form.removeAttribute("aria-busy");
      bar.value ||= 0; // no longer busy
      quieten();
      say(message);
      offer(...names);
    }

    function goOn(message) {
      lock(fields, panel);
      addEventListener("beforeunload", leave);
      form.setAttribute("aria-busy", "true");
      quieten();
      say(message);
      offer("pause", "cancel");
      panel.scrollIntoView({ block: "nearest" });
      upload.start();
    }

    const upload = new tus.Upload(file, {
      endpoint: endpointOf(form),
      chunkSize: PIECE_BYTES,
      retryDelays: RETRY_AFTER_MS,
      metadata: { filename: file.name },
      headers: { "X-CSRFToken": csrfOf(form) },
      onProgress: show,
      onShouldRetry(error) {
        const status = error.originalResponse?.getStatus() ?? 0;
        if (!navigator.onLine) return false;
        const mayHelp = status === 0 || status === 409 || status === 423 || status === 460 || status >= 500;
        if (mayHelp) {
          quieten();
          say(texts.textRetrying, "trouble");
        }
        return mayHelp;
      },
      onError(error) {
        const response = error.originalResponse;
        const status = response?.getStatus() ?? 0;
        if (status === 401) {
          removeEventListener("beforeunload", leave);
          location.assign(form.action); // the session has ended: to the log-in and back
          return;
        }
        if (status === 0) {
          end(texts.textBroken, "resume", "cancel");
          addEventListener("online", () => part("resume").hidden || part("resume").click(), { once: true });
          return;
        }
        end(problemOf(response) ?? fill(texts.textFailed, { status }), "retry");
      },
      async onSuccess() {
        offer();
        quieten();
        say(texts.textChecking);
        bar.removeAttribute("value"); // busy, nobody knows for how long
        const id = new URL(upload.url).pathname.split("/").at(-2);
        complete.set(file, id);
        whenComplete(id, { end, leave });
      },
    });

    part("pause").onclick = async () => {
      await upload.abort();
      end(texts.textPaused, "resume", "cancel");
      part("resume").focus();
    };
    part("resume").onclick = () => goOn(texts.textResumed);
    part("cancel").onclick = async () => {
      await upload.abort(true).catch(() => null); // what stays there is removed in time
      await forget(form, file);
      end(texts.textCancelled, "retry");
      part("retry").focus();
    };
    part("retry").onclick = () => {
      say("");
      form.requestSubmit();
    };
    panel.hidden = false;
    bar.value = 0;
    if (complete.has(file)) {
      lock(fields, panel);
      offer();
      say(texts.textChecking);
      whenComplete(complete.get(file), { end, leave });
      return;
    }
    upload.findPreviousUploads().then(([before]) => {
      if (before) upload.resumeFromPreviousUpload(before);
      goOn(before ? texts.textResumed : texts.textStarted);
    });
  }

  function problemOf(response) {
    try {
      return JSON.parse(response.getBody()).detail;
    } catch {
      return null;
    }
  }

  /** Let nothing be changed while it is sent, but leave the upload's own buttons alone. */
  function lock(fields, panel) {
    fields.after(panel); // below the button that was just pressed
    fields.disabled = true;
    panel.scrollIntoView({ block: "nearest" });
  }

  return { begunBefore, forget, start };
})();
