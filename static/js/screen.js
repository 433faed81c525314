// A guest's screen in the page: noVNC over a line to the gateway.
//
// `new Screen(line)` shows what comes over a line.  Each view has one of its own; when it breaks (the
// guest was stopped, moved, or the network went) it is opened again for as long as the page wants it.

import keysyms from "../vendor/novnc/core/input/keysymdef.js";
import RFB from "../vendor/novnc/core/rfb.js";

const ENTER = 0xff0d;
const TAB = 0xff09;

export class Screen {
  #element;
  #line;
  #rfb = null;
  #scaled = true;
  #recorded = false;

  constructor(line) {
    this.#element = line.element;
    this.#line = line;
    line.serve({
      // The first message says that the line stands; from then on it is RFB.
      told: (message) => {
        this.#recorded = message.recorded;
      },
      opened: (socket) => this.#show(socket),
      left: () => {
        this.#rfb = null;
      },
    });
  }

  focus() {
    this.#rfb?.focus();
  }

  wake() {
    this.#line.wake();
  }

  close() {
    this.#line.close();
  }

  sendCtrlAltDel() {
    this.#rfb?.sendCtrlAltDel();
    this.focus();
  }

  scale(scaled) {
    this.#scaled = scaled;
    if (this.#rfb) this.#rfb.scaleViewport = scaled;
  }

  fill() {
    this.#element.requestFullscreen?.();
    this.focus();
  }

  /** Type text as if by hand: the guest needs to know nothing of clipboards. */
  type(text) {
    for (const sign of text.replaceAll("\r\n", "\n")) {
      const keysym = { "\n": ENTER, "\t": TAB }[sign] ?? keysyms.lookup(sign.codePointAt(0));
      this.#rfb?.sendKey(keysym, null);
    }
    this.focus();
  }

  #show(socket) {
    this.#element.replaceChildren();
    const rfb = new RFB(this.#element, socket, { shared: true });
    rfb.scaleViewport = this.#scaled;
    rfb.background = "transparent";
    rfb.addEventListener("connect", () => {
      this.#line.stands();
      this.#line.tell("connected", this.#recorded ? "Connected · recorded" : "Connected");
      this.focus();
    });
    this.#rfb = rfb;
  }
}
