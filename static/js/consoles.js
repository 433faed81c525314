// The console page of a machine: its serial console and its screen as tabs, and what is done with
// them.  Which one was looked at last is remembered; only what was looked at is opened.

import { Line, post } from "./line.js";

const serial = document.getElementById("console");
const screen = document.getElementById("screen");
const tabs = [...document.querySelectorAll("[data-console]")];
const panels = { serial, screen };
const shown = {};
const KEY = "console kind";

const status = (name) => document.getElementById(`${name === "serial" ? "console" : name}-status`);

// This module does not wait for the rest of the page; what draws needs its styles.
const styled =
  document.readyState !== "loading" ||
  new Promise((done) => document.addEventListener("DOMContentLoaded", done));

async function make(name) {
  const line = new Line(panels[name], { status: status(name) });
  const drawing = import(name === "serial" ? "./console.js" : "./screen.js");
  const [{ Console, Screen }] = await Promise.all([drawing, line.begun, styled]);
  if (name === "screen") return new Screen(line);
  return new Console(line, { people: document.getElementById("watching") });
}

async function show(name) {
  localStorage.setItem(KEY, name);
  for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.dataset.console === name));
  for (const [other, panel] of Object.entries(panels)) {
    panel.hidden = other !== name;
    for (const part of document.querySelectorAll(`[data-of="${other}"]`)) part.hidden = other !== name;
  }
  shown[name] ??= make(name);
  const view = await shown[name];
  view.fit?.();
  view.focus();
}

for (const tab of tabs) tab.addEventListener("click", () => show(tab.dataset.console));
document.addEventListener("live:change", async ({ detail }) => {
  if (detail.kind !== "machine") return;
  for (const view of Object.values(shown)) (await view).wake();
});

const acts = {
  "ctrl-alt-del": (view) => view.sendCtrlAltDel(),
  fill: (view) => view.fill(),
};
for (const button of document.querySelectorAll("[data-screen]")) {
  button.addEventListener("click", async () => acts[button.dataset.screen](await shown.screen));
}
document.getElementById("screen-scale").addEventListener("change", async ({ target }) => {
  (await shown.screen).scale(target.checked);
});
document.getElementById("screen-text").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = event.target.elements.text;
  (await shown.screen).type(field.value);
  field.value = "";
  event.target.closest("details").open = false;
});

// --- a file for remote-viewer -----------------------------------------------------------------------
async function asked(url, body) {
  const answer = await post(url, body);
  if (answer.status < 300) return answer;
  throw new Error(answer.detail || answer.text || "The console does not answer.");
}

async function download(button) {
  try {
    const { ticket, url, kind } = await asked(button.dataset.viewerUrl);
    const { text: file } = await asked(url, JSON.stringify({ ticket, kind }));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file], { type: "application/x-virt-viewer" }));
    link.download = `${button.dataset.title}.vv`;
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    status("screen").textContent = error.message;
  }
}
document
  .querySelector("[data-viewer-url]")
  ?.addEventListener("click", ({ currentTarget }) => download(currentTarget));

show(localStorage.getItem(KEY) === "screen" ? "screen" : "serial");
