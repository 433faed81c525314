// Sends a file to the image library in pieces; after a break it asks how far it got and goes on.

const PIECE = 8 * 1024 * 1024;
const TRIES = 5;

const form = document.querySelector("form[data-upload]");
const chooser = document.querySelector("#upload-file");
const bar = document.querySelector("#upload-progress");
const word = document.querySelector("[data-upload-word]");
const token = document.querySelector("meta[name='csrf-token']")?.content ?? "";
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

function show(received, size, begun, from) {
  document.querySelector("[data-upload-progress]").hidden = false;
  bar.value = (100 * received) / size;
  const seconds = (performance.now() - begun) / 1000;
  const speed = (received - from) / Math.max(seconds, 0.001) / 1e6;
  const left = speed ? Math.ceil((size - received) / 1e6 / speed) : 0;
  word.textContent = `${Math.floor(bar.value)} % · ${speed.toFixed(0)} MB/s · ${left} s left`;
}

/** Send one piece; return the console's answer, or null when the connection was lost. */
async function put(address, at, piece) {
  try {
    const answer = await fetch(`${address}?at=${at}`, {
      method: "POST",
      headers: {
        "Content-Type": "application/octet-stream",
        "X-CSRF-Token": token,
        Accept: "application/json",
      },
      body: piece,
    });
    const told = await answer.json();
    return { ok: answer.ok, status: answer.status, ...told };
  } catch {
    return null;
  }
}

async function send(file, address, from) {
  const begun = performance.now();
  let received = from;
  let failed = 0;
  while (received < file.size) {
    const answer = await put(address, received, file.slice(received, received + PIECE));
    if (answer?.ok) {
      received = answer.received;
      failed = 0;
      show(received, file.size, begun, from);
      if (answer.then) location.assign(answer.then);
    } else if (answer && typeof answer.context?.received === "number" && failed < TRIES) {
      received = answer.context.received;
      failed += 1;
    } else if (answer && answer.status < 500) {
      word.textContent = answer.detail ?? answer.title ?? "The console refused it.";
      return;
    } else if (failed >= TRIES) {
      word.textContent = "The connection is lost. Go on later on the page of this upload.";
      return;
    } else {
      failed += 1;
      word.textContent = "The connection is lost; trying again.";
      await pause(failed);
    }
  }
}

/** Announce the file by the form; a refusal is shown as the form shows it. */
async function begin() {
  const file = chooser.files[0];
  const answer = await fetch(location.href, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
  });
  if (!answer.redirected) {
    form.submit();
    return;
  }
  const address = new URL(answer.url).pathname;
  history.replaceState(null, "", address);
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  await send(file, `${address}/content`, 0);
}

chooser?.addEventListener("change", () => {
  const file = chooser.files[0];
  if (!file || form.dataset.upload !== "begin") return;
  form.elements.size.value = `${file.size} B`;
  if (!form.elements.name.value) form.elements.name.value = file.name.replace(/\.[^.]*$/, "");
  if (file.name.toLowerCase().endsWith(".iso")) form.elements.kind.value = "iso";
});

if (form?.dataset.upload === "begin") {
  chooser.required = true; // without script the field is hidden, and would hold the form back
  form.addEventListener("submit", (event) => {
    if (!chooser.files[0]) return;
    event.preventDefault();
    begin();
  });
}

document.querySelector("[data-upload-go]")?.addEventListener("click", () => {
  const file = chooser.files[0];
  if (!file || file.size !== Number(form.dataset.size)) {
    document.querySelector("[data-upload-progress]").hidden = false;
    word.textContent = "Choose the very file whose sending broke off: its size differs.";
    return;
  }
  send(file, form.dataset.content, Number(form.dataset.received));
});
