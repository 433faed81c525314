// What script adds to a page that also works without it: keys, menus, the tree's filter and
// memory, selection in tables, and the age of what is shown.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (type, selector, act) =>
  document.addEventListener(type, (event) => {
    const target = event.target instanceof Element && event.target.closest(selector);
    if (target) act(target, event);
  });

// --- keys -------------------------------------------------------------------------------------
const goto = Object.fromEntries(
  $$("#nav a[data-key]").map((link) => [link.dataset.key, link.href]),
);
let waitsForGoto = 0;

const isTyping = (target) =>
  target instanceof Element && target.closest("input, select, textarea, .xterm, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMenus(null);
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (Date.now() - waitsForGoto < 1200 && goto[event.key]) {
    waitsForGoto = 0;
    location.assign(goto[event.key]);
  } else if (event.key === "g") {
    waitsForGoto = Date.now();
  } else if (event.key === "/") {
    event.preventDefault();
    $("#search")?.focus();
  } else if (event.key === "?") {
    $("#keys")?.showModal();
  }
});
on("click", "[data-shows]", (button) => document.getElementById(button.dataset.shows)?.showModal());

// --- menus ------------------------------------------------------------------------------------
function closeMenus(except) {
  for (const menu of $$("details.dropdown[open]")) if (menu !== except) menu.open = false;
}
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.dropdown")));

// --- pool tree --------------------------------------------------------------------------------
const tree = $("#tree");
const filter = $("#tree .filter");
const closed = new Set(JSON.parse(localStorage.getItem("treeClosed") ?? "[]"));
const wanted = () => filter.value.trim().toLowerCase();

/** Hide what does not match, nor leads to a match; return whether `item` is shown. */
function showMatching(item, text) {
  const below = $$(":scope > details > ul > li", item).map((child) => showMatching(child, text));
  const matches = $("a", item).textContent.toLowerCase().includes(text) || below.includes(true);
  item.hidden = !matches;
  return matches;
}

function showTree() {
  for (const item of $$("#pools > ul > li")) showMatching(item, wanted());
  for (const branch of $$("details[data-pool]", tree)) {
    branch.open = wanted() !== "" || !closed.has(branch.dataset.pool) || $(".here", branch.parentElement) !== null;
  }
}

if (tree) {
  tree.addEventListener("click", (event) => {
    const branch = event.target.closest("summary")?.parentElement;
    if (!branch) return;
    closed[branch.open ? "add" : "delete"](branch.dataset.pool); // it is about to turn
    localStorage.setItem("treeClosed", JSON.stringify([...closed]));
  });
  filter.addEventListener("input", showTree);
  tree.addEventListener("htmx:afterSettle", showTree);
  showTree();
}

// --- selection in tables ----------------------------------------------------------------------
function countSelected() {
  for (const note of $$("[data-selected]")) {
    const chosen = $$(`[name="${note.dataset.selected}"]:checked`).length;
    note.textContent = chosen ? `${chosen} selected` : "";
    for (const button of $$("[data-needs-selection]")) button.disabled = chosen === 0;
  }
}
on("change", "[data-selects]", (box) => {
  for (const one of $$(`[name="${box.dataset.selects}"]`)) one.checked = box.checked;
  countSelected();
});
on("change", ".pick input", countSelected);
document.addEventListener("htmx:afterSettle", countSelected);
countSelected();

// --- forms that follow their fields ------------------------------------------------------------
on("change", "[data-submits]", (field) => field.form.requestSubmit());

// A field with `data-when="kind=a b"` is asked for only while the field `kind` says a or b.
function showAsked() {
  for (const field of $$("[data-when]")) {
    const [other, values] = field.dataset.when.split("=");
    const asked = values.split(" ").includes(field.form.elements[other].value);
    field.disabled = !asked;
    field.closest(".field").hidden = !asked;
  }
}
document.addEventListener("change", showAsked);
showAsked();

// --- forms are sent once ------------------------------------------------------------------------
// A second press of the same button, or Back and press again, must not act twice.  The entry in the
// tab's history keeps a mark that goes with the form: the server knows what came with it before.
// What was typed is kept beside it, in this tab only and until its user signs out.
const KEPT = `sent by ${document.body.dataset.user} `;
const NOT_KEPT = ["password", "file", "submit", "button", "hidden"];
const typed = (form) =>
  [...form.elements].filter((field) => field.name && !NOT_KEPT.includes(field.type));
const place = (form) => form.getAttribute("action") ?? "";
const markOf = (form) => history.state?.sent?.[place(form)];
const newMark = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16)).join("");

function forget(kept) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith("sent by ") && !(kept && key.startsWith(kept))) sessionStorage.removeItem(key);
  }
}

function mark(form) {
  const once = markOf(form) ?? newMark();
  history.replaceState({ ...history.state, sent: { ...history.state?.sent, [place(form)]: once } }, "");
  const field = form.elements.once ?? form.appendChild(document.createElement("input"));
  Object.assign(field, { type: "hidden", name: "once", value: once });
  const values = typed(form).map(({ name, value, checked }) => [name, value, checked]);
  try {
    sessionStorage.setItem(KEPT + once, JSON.stringify(values));
  } catch {
    // No room for it: Back finds an empty form.
  }
}

function fillAgain(form) {
  const values = JSON.parse(sessionStorage.getItem(KEPT + markOf(form)) ?? "[]");
  const fields = typed(form);
  if (values.length === 0 || values.some(([name], index) => fields[index]?.name !== name)) return;
  values.forEach(([, value, checked], index) => {
    const field = fields[index];
    if (!["checkbox", "radio"].includes(field.type)) field.value = value;
    else if (field.value === value) field.checked = checked;
  });
  form.dispatchEvent(new Event("change", { bubbles: true }));
}

on("submit", "form[method=post]", (form, event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  if (place(form).endsWith("/signout")) forget();
  else if (!event.defaultPrevented) mark(form);
});
window.addEventListener("pageshow", () => {
  for (const form of $$("form[data-sent]")) delete form.dataset.sent;
  forget(KEPT);
  if (performance.getEntriesByType("navigation")[0]?.type !== "back_forward") return;
  for (const form of $$("form[method=post]")) if (markOf(form)) fillAgain(form);
});

// --- times: ages that go on, clocks in the reader's own zone ------------------------------------
const UNITS = [["d", 86400], ["h", 3600], ["min", 60]];
const two = (number) => String(number).padStart(2, "0");
const age = (seconds) => {
  for (const [unit, size] of UNITS) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.max(0, Math.floor(seconds))} s`;
};
const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const isToday = (at) => day(at) === day(new Date());

function showTimes() {
  for (const time of $$("time[data-age], time[data-clock], time[data-exact]")) {
    const at = new Date(time.dateTime);
    const { age: suffix, clock: prefix } = time.dataset;
    if (suffix !== undefined) {
      time.textContent = age((Date.now() - at) / 1000) + suffix;
    } else if (prefix !== undefined) {
      time.textContent = prefix + (isToday(at) ? clock(at) : `${day(at)} ${clock(at)}`);
    } else {
      time.textContent = `${day(at)} ${clock(at)}:${two(at.getSeconds())}`;
    }
  }
}
showTimes();
setInterval(showTimes, 10_000);
document.addEventListener("htmx:afterSettle", showTimes);

on("click", "[data-print]", () => window.print());

// --- what is no longer there ----------------------------------------------------------------------
document.addEventListener("htmx:responseError", (event) => {
  const area = event.detail.elt.closest("[data-live]");
  if (!area || event.detail.xhr.status !== 404) return;
  area.removeAttribute("data-live");
  const note = document.createElement("p");
  note.className = "flash unknown";
  note.textContent = "This is no longer there: it was deleted, or you may no longer see it.";
  area.replaceChildren(note);
});
