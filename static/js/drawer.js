// The drawer at the bottom of every page: its height, whether it is open, its consoles and the
// terminal, which the key ` opens.
//
// A console opened here stays on every page: its session lives in the gateway, and each page that
// loads attaches to it again.  What this browser remembers, for each user, is which consoles are
// open and which is in front; only that one is attached.

import { Line } from "./line.js";

const drawer = document.getElementById("drawer");
const root = document.documentElement;
const LOWEST = 90;
const STEP = 24;

function remembered(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

// --- open or closed, and how high ----------------------------------------------------------------
const isOpen = () => root.dataset.drawer === "open";

function setOpen(open) {
  root.dataset.drawer = open ? "open" : "closed";
  localStorage.setItem(`drawer of ${root.dataset.user}`, root.dataset.drawer);
  drawer.querySelector("[data-drawer-toggle]").setAttribute("aria-expanded", String(open));
}

function setHeight(grip, pixels) {
  const height = Math.round(Math.min(Math.max(pixels, LOWEST), window.innerHeight * 0.75));
  root.style.setProperty("--drawer", `${height}px`);
  localStorage.setItem("drawerHeight", String(height));
  grip.setAttribute("aria-valuenow", String(height));
}

function makeGrip(grip) {
  grip.addEventListener("pointerdown", (event) => {
    grip.setPointerCapture(event.pointerId);
    setOpen(true);
  });
  grip.addEventListener("pointermove", (event) => {
    if (grip.hasPointerCapture(event.pointerId)) setHeight(grip, window.innerHeight - event.clientY);
  });
  grip.addEventListener("keydown", (event) => {
    const step = { ArrowUp: STEP, ArrowDown: -STEP }[event.key];
    if (!step) return;
    event.preventDefault();
    setHeight(grip, drawer.getBoundingClientRect().height + step);
  });
}

// --- consoles --------------------------------------------------------------------------------------
const key = `consoles of ${document.body.dataset.user}`;
const shownAbove = document.getElementById("console")?.dataset.ticketUrl;
const panels = new Map(); // ticket address -> { element, people, status, line, console }

const saved = () => remembered(key, { list: [], front: null });
const save = (state) => localStorage.setItem(key, JSON.stringify(state));

function makeTab(entry, state) {
  const tab = document.createElement("button");
  tab.type = "button";
  tab.className = "tab";
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-selected", String(entry.url === state.front));
  tab.textContent = entry.title;
  tab.addEventListener("click", () => bringToFront(entry.url, { focus: true }));
  const shut = document.createElement("button");
  shut.type = "button";
  shut.className = "button quiet shut";
  shut.textContent = "×";
  shut.setAttribute("aria-label", `Close ${entry.title}`);
  shut.addEventListener("click", () => forget(entry.url));
  return [tab, shut];
}

function makeHider() {
  const hider = document.createElement("button");
  hider.type = "button";
  hider.className = "button quiet hider";
  hider.textContent = "Hide";
  hider.addEventListener("click", () => drawer.classList.remove("asked"));
  return hider;
}

function makeAnother() {
  const more = document.createElement("button");
  more.type = "button";
  more.className = "button quiet";
  more.textContent = "+";
  more.setAttribute("aria-label", "Another terminal");
  more.addEventListener("click", () => openTerminal({ another: true }));
  return more;
}

function makePanel(entry) {
  const element = document.createElement("div");
  element.className = "drawer-console";
  element.dataset.ticketUrl = entry.url;
  element.setAttribute("role", "tabpanel");
  element.setAttribute("aria-label", entry.title);
  const status = document.createElement("span");
  status.className = "console-status";
  status.setAttribute("role", "status");
  const people = document.createElement("div");
  people.className = "drawer-people";
  people.setAttribute("aria-live", "polite");
  document.getElementById("drawer-consoles").append(people, element);
  const panel = { element, people, status, line: null, console: null };
  panels.set(entry.url, panel);
  return panel;
}

async function attach(panel, focus) {
  const { element, people, status } = panel;
  const url = element.dataset.ticketUrl;
  if (url === shownAbove) {
    status.textContent = "Shown above.";
    return;
  }
  if (!panel.console) {
    panel.line ??= new Line(element, { status });
    const [{ Console }] = await Promise.all([import("./console.js"), panel.line.begun]);
    if (panels.get(url) !== panel) return; // closed meanwhile
    panel.console ??= new Console(panel.line, { people, ended: () => forget(url) });
  }
  panel.console.fit();
  if (focus) panel.console.focus();
}

function showConsoles({ focus = false } = {}) {
  const state = saved();
  drawer.classList.toggle("with-consoles", state.list.length > 0);
  const head = document.getElementById("drawer-tabs");
  head.replaceChildren(...state.list.flatMap((entry) => makeTab(entry, state)));
  if (state.list.some(isTerminal)) head.append(makeAnother());
  for (const entry of state.list) {
    const isFront = entry.url === state.front;
    if (isFront) {
      const panel = panels.get(entry.url) ?? makePanel(entry);
      const spring = document.createElement("span");
      spring.className = "spring";
      head.append(spring, panel.status, makeHider());
      if (isOpen()) attach(panel, focus);
    }
    const panel = panels.get(entry.url);
    for (const part of [panel?.element, panel?.people]) part?.toggleAttribute("hidden", !isFront);
  }
}

function bringToFront(url, options) {
  save({ ...saved(), front: url });
  setOpen(true);
  showConsoles(options);
}

function keep(entry) {
  const { list } = saved();
  if (!list.some((one) => one.url === entry.url)) list.push(entry);
  save({ list, front: entry.url });
}

function forget(url) {
  const list = saved().list.filter((one) => one.url !== url);
  save({ list, front: list.at(-1)?.url ?? null });
  const panel = panels.get(url);
  panels.delete(url);
  if (url.startsWith("/terminals/") && panel?.console) panel.console.end();
  else (panel?.console ?? panel?.line)?.close();
  panel?.element.remove();
  panel?.people.remove();
  showConsoles();
}

// --- terminals -------------------------------------------------------------------------------------
const TERMINALS = 9;
const isTerminal = (entry) => entry.url.startsWith("/terminals/");
const terminalUrl = (number) => `/terminals/${number}/ticket`;

function openTerminal({ another = false } = {}) {
  drawer.classList.add("asked"); // where there is no room for a drawer it is shown when asked for
  const { list, front } = saved();
  const known = list.filter(isTerminal);
  const shown = known.find((entry) => entry.url === front) ?? known.at(-1);
  if (shown && !another) {
    bringToFront(shown.url, { focus: true });
    return;
  }
  for (let number = 1; number <= TERMINALS; number += 1) {
    const url = terminalUrl(number);
    if (known.some((entry) => entry.url === url)) continue;
    keep({ url, title: `ovc ${number}` });
    bringToFront(url, { focus: true });
    return;
  }
}

const isTyping = (target) =>
  target instanceof Element && target.closest("input, select, textarea, .xterm, [contenteditable]");

function hearKey(event) {
  if (event.key !== "`" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  openTerminal();
}

// --- now -------------------------------------------------------------------------------------------
if (drawer) {
  setOpen(isOpen());
  makeGrip(drawer.querySelector(".drawer-grip"));
  showConsoles();
  drawer.querySelector("[data-drawer-toggle]").addEventListener("click", () => {
    setOpen(!isOpen());
    showConsoles();
  });
  if (drawer.querySelector("[data-opens-terminal]")) document.addEventListener("keydown", hearKey);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-opens-terminal]")) openTerminal();
    const button = event.target.closest("[data-keeps-console]");
    if (!button) return;
    keep({ url: button.dataset.keepsConsole, title: button.dataset.title });
    if (button.dataset.then) location.assign(button.dataset.then);
    else bringToFront(button.dataset.keepsConsole, { focus: true });
  });
  document.addEventListener("live:change", ({ detail }) => {
    if (detail.kind === "machine") for (const panel of panels.values()) panel.console?.wake();
  });
  // Another window of this browser opened or closed one.
  window.addEventListener("storage", (event) => event.key === key && showConsoles());
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action")?.endsWith("/signout")) localStorage.removeItem(key);
  });
}
