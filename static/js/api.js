// The API page: sends a call in the reader's own name and shows what came back.

const token = () => document.querySelector("meta[name=csrf-token]").content;

function place(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const headers = { Accept: "application/json" };
  for (const field of form.querySelectorAll("input[data-place]")) {
    if (field.dataset.place === "path") {
      path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    } else if (field.value !== "") {
      if (field.dataset.place === "query") query.append(field.name, field.value);
      else headers[field.name] = field.value;
    }
  }
  const told = query.toString();
  return { path: told ? `${path}?${told}` : path, headers };
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function line(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** The code of a refusal; it opens its article. */
function reason(code) {
  const made = line("p", "Code ");
  const link = line("a", code);
  link.href = `/help/errors/${code}`;
  made.append(link);
  return made;
}

async function send(form) {
  const { path, headers } = place(form);
  const method = form.dataset.call;
  const body = form.elements.namedItem("body")?.value;
  if (body) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = token();
  const answer = form.parentElement.querySelector(".answer");
  answer.replaceChildren(line("p", "Waiting …"));
  const begun = performance.now();
  try {
    const came = await fetch(path, { method, headers, body: body || undefined });
    const text = await came.text();
    const took = Math.round(performance.now() - begun);
    const parts = [line("p", `${method} ${path}: ${came.status} in ${took} ms`)];
    const location = came.headers.get("Location");
    if (location) parts.push(line("p", `Location: ${location}`));
    const told = read(text);
    if (!came.ok && told.code) parts.push(reason(told.code));
    if (text) parts.push(line("pre", told === text ? text : JSON.stringify(told, null, 2)));
    parts.at(-1).tabIndex = 0;
    answer.replaceChildren(...parts);
  } catch (error) {
    answer.replaceChildren(line("p", `It was not sent: ${error.message}`));
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-call]")) return;
  event.preventDefault();
  send(event.target);
});

// --- finding a call ---------------------------------------------------------------------------
const find = document.getElementById("find-call");

function narrow() {
  const wanted = find.value.trim().toLowerCase().split(/\s+/);
  for (const group of document.querySelectorAll(".calls")) {
    const calls = [...group.querySelectorAll(".call")];
    for (const call of calls) {
      const text = call.querySelector("summary").textContent.toLowerCase();
      call.hidden = !wanted.every((word) => text.includes(word));
    }
    group.hidden = calls.every((call) => call.hidden);
  }
}
find.addEventListener("input", narrow);

/** Show what the address names: a group or a call, also one that was not looked for. */
function open() {
  const named = document.getElementById(window.location.hash.slice(1));
  if (named?.closest("[hidden]")) {
    find.value = "";
    narrow();
    named.scrollIntoView();
  }
  if (named instanceof HTMLDetailsElement) named.open = true;
}

window.addEventListener("hashchange", open);
open();
