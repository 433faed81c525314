// A terminal in the page: xterm.js under the page's strict policy.

import { Terminal } from "../vendor/xterm/xterm.mjs";

const SCROLLBACK_LINES = 5_000;

// --- styles under a strict policy -----------------------------------------------------------------
// xterm.js writes <style> elements and style attributes, which the page's policy forbids.  Given
// this document it makes the same rules as constructed style sheets and style properties instead.
function setStyleAttribute(name, value) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

// xterm.js makes most spans by cloning the one before, and a clone has no properties of ours.
const strictSpan = (span) =>
  Object.assign(span, {
    setAttribute: setStyleAttribute,
    cloneNode: (deep) => strictSpan(Node.prototype.cloneNode.call(span, deep)),
  });

const makeElement = (tag) => Document.prototype.createElement.call(document, tag);

function sheetElement() {
  // Even an empty <style> counts as an inline style.
  const element = makeElement("template");
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text) });
  element.remove = () => {
    const kept = document.adoptedStyleSheets.filter((one) => one !== sheet);
    document.adoptedStyleSheets = kept;
    Element.prototype.remove.call(element);
  };
  return element;
}

const strictDocument = new Proxy(document, {
  get(target, name) {
    if (name === "createElement") {
      return (tag) => {
        if (tag === "style") return sheetElement();
        const element = makeElement(tag);
        return tag === "span" ? strictSpan(element) : element;
      };
    }
    const value = Reflect.get(target, name, target);
    return typeof value === "function" ? value.bind(target) : value;
  },
});

function loadStyles() {
  const href = new URL("../vendor/xterm/xterm.css", import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}

// --- what is pasted -------------------------------------------------------------------------------
// Text copied from a page may hide an end of the paste, and behind it a command that would run at
// once.  Of what is no text only tabs and ends of lines are let through.
const NO_TEXT = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;

function pasteText(terminal, event) {
  event.preventDefault();
  event.stopPropagation();
  terminal.paste(event.clipboardData.getData("text/plain").replace(NO_TEXT, ""));
}

// --- the terminal ---------------------------------------------------------------------------------
/** Make a terminal in `element`; `options` are those of xterm.js. */
export function makeTerminal(element, options = {}) {
  loadStyles();
  const colours = getComputedStyle(element);
  const terminal = new Terminal({
    documentOverride: strictDocument,
    fontFamily: "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 13,
    scrollback: SCROLLBACK_LINES,
    theme: {
      background: colours.getPropertyValue("--terminal").trim() || "#101820",
      foreground: colours.getPropertyValue("--terminal-text").trim() || "#e6e6e6",
    },
    ...options,
  });
  // Its viewport asks the real document, whatever the override says.
  document.createElement = strictDocument.createElement;
  try {
    terminal.open(element);
  } finally {
    delete document.createElement;
  }
  element.addEventListener("paste", (event) => pasteText(terminal, event), { capture: true });
  return terminal;
}
