// A console in the page: xterm.js over a line to the gateway.
//
// `new Console(line)` draws what comes over a line, and types into it.  The session lives in the
// gateway: a page that comes later shows what was printed before.
// Somebody else's console is watched by tickets of `data-watch-url`, once he agrees.

import { FitAddon } from "../vendor/xterm-addon-fit/addon-fit.mjs";
import { post } from "./line.js";
import { makeTerminal } from "./tty.js";

const ACKNOWLEDGE = 32 * 1024; // bytes drawn that are told together
const PIECE = 16 * 1024; // bytes of a paste that travel together
const WORDS = { connected: "Connected", connecting: "Connecting…" };

function button(label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button small";
  made.textContent = label;
  made.addEventListener("click", act);
  return made;
}

export class Console {
  #element;
  #people;
  #terminal;
  #line;
  #fit = new FitAddon();
  #encoder = new TextEncoder();
  #drawn = 0;
  #replaying = false;
  #kind = "";
  #recorded = false;
  #observer;

  /**
   * `ended` is called when the session is over for good, as after `exit` in a terminal; in `people`
   * stands who watches, or asks to.
   */
  constructor(line, { people = null, ended } = {}) {
    const { element } = line;
    this.#line = line;
    this.#element = element;
    this.#people = people;
    this.#terminal = this.#makeTerminal();
    this.#observer = new ResizeObserver(() => this.fit());
    this.#observer.observe(element);
    line.serve({
      bytes: (bytes) => this.#draw(bytes),
      told: (message) => this.#told(message),
      left: () => this.#people?.replaceChildren(),
      ended,
      again: () => this.focus(),
    });
    const { heldBy, watchUrl } = element.dataset;
    if (heldBy) this.#choose(heldBy, watchUrl);
  }

  focus() {
    this.#terminal.focus();
  }

  wake() {
    this.#line.wake();
  }

  fit() {
    if (this.#element.clientHeight > 0) this.#fit.fit();
  }

  /** End the session itself, not only this view of it. */
  end() {
    this.#line.say({ end: true });
    this.close();
  }

  close() {
    this.#line.close();
    this.#observer.disconnect();
    this.#terminal.dispose();
  }

  /** Somebody else has it: opening it would take it away from him. */
  #choose(who, watchUrl) {
    this.#line.offer(`${who} has this console open.`, "Ask to watch", watchUrl, "held");
    this.#line.offer("", "Take it over", undefined, "held");
  }

  #told(message) {
    if (message.type === "attached") this.#begin(message);
    else if (message.type === "watching") this.#showPeople(message.people);
    else if (message.type === "granted") this.#showGrant(message);
    if (!message.state) return;
    const text = WORDS[message.state] ?? message.text;
    const told = message.state === "reconnecting" ? `Reconnecting… ${text}` : text;
    this.#line.tell(message.state, this.#recorded ? `${told} · recorded` : told);
  }

  #begin({ replay, kind, recorded }) {
    this.#line.stands();
    this.#drawn = 0;
    this.#terminal.reset();
    this.#replaying = replay > 0;
    this.#kind = kind;
    this.#recorded = recorded;
    this.fit();
    this.#tellSize();
  }

  #draw(bytes) {
    this.#terminal.write(bytes, () => {
      // What a replay asks the terminal was answered when it was new.
      this.#replaying = false;
      this.#drawn += bytes.length;
      if (this.#drawn < ACKNOWLEDGE || !this.#line.open) return;
      this.#line.say({ drawn: this.#drawn });
      this.#drawn = 0;
    });
  }

  // --- with others --------------------------------------------------------------------------------
  /** Who watches this console, or asks to, with what may be said to it. */
  #showPeople(people) {
    this.#people?.replaceChildren(...people.map((one) => this.#person(one)));
  }

  #person({ id, who, wants, granted }) {
    const line = document.createElement("p");
    line.className = wants ? "flash warning" : "flash";
    const asks = { watch: "asks to watch.", keyboard: "asks for the keyboard." }[wants];
    const has = granted === "keyboard" ? "has the keyboard; you look on." : "watches.";
    const say = (allow) => () => post(`/consoles/${id}/consent`, new URLSearchParams({ allow }));
    line.append(`${who} ${asks ?? has} `);
    if (granted === "keyboard") line.append(button("Take the keyboard back", say("watch")));
    else if (granted !== "watch") line.append(button("Let watch", say("watch")));
    if (wants === "keyboard") line.append(" ", button("Give the keyboard", say("keyboard")));
    line.append(" ", button(granted ? "Send away" : "No", say("nothing")));
    return line;
  }

  /** What I may do on the console of somebody else. */
  #showGrant({ granted, console, owner }) {
    const line = document.createElement("p");
    line.className = "flash";
    const typing = granted === "keyboard";
    line.append(typing ? `You have the keyboard of ${owner}. ` : `You watch ${owner}. `);
    const ask = () => post(`/consoles/${console}/keyboard`, new URLSearchParams());
    if (!typing) line.append(button("Ask for the keyboard", ask));
    this.#people?.replaceChildren(line);
  }

  // --- the terminal -------------------------------------------------------------------------------
  /** A terminal draws for the size that it knows; of a serial line it goes into the recording. */
  #tellSize() {
    this.#line.say({ size: [this.#terminal.cols, this.#terminal.rows] });
  }

  /** Links work in terminals only, and lead to pages of this console: a guest may print anything. */
  #follow(text) {
    const target = new URL(text, location.href);
    if (this.#kind === "terminal" && target.origin === location.origin) location.assign(target);
  }

  #type(bytes) {
    if (this.#replaying) return;
    for (let start = 0; start < bytes.length; start += PIECE) {
      this.#line.send(bytes.subarray(start, start + PIECE));
    }
  }

  #makeTerminal() {
    const terminal = makeTerminal(this.#element, {
      cursorBlink: true,
      linkHandler: { allowNonHttpProtocols: true, activate: (_event, text) => this.#follow(text) },
    });
    terminal.loadAddon(this.#fit);
    terminal.onResize(() => this.#tellSize());
    terminal.onData((text) => this.#type(this.#encoder.encode(text)));
    terminal.onBinary((text) => this.#type(Uint8Array.from(text, (one) => one.charCodeAt(0))));
    terminal.attachCustomKeyEventHandler((event) => this.#isForGuest(event));
    this.#element.title = "Ctrl+F6 leaves the console; Ctrl+Shift+C copies, Ctrl+Shift+V pastes";
    return terminal;
  }

  #isForGuest(event) {
    const key = event.key.toLowerCase();
    if (event.ctrlKey && event.shiftKey && key === "v") return false; // the browser pastes
    if (event.ctrlKey && event.shiftKey && key === "c") {
      if (event.type === "keydown") document.execCommand("copy");
      event.preventDefault();
      return false;
    }
    if (event.ctrlKey && key === "f6") {
      this.#terminal.blur();
      return false;
    }
    return true;
  }
}
