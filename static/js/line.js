// The way from a page to a console: a ticket, the gateway's WebSocket, and again for as long as the
// page wants it.  What comes over it is for whoever made the line:
//
//   new Line(element, { status }).serve({ opened, bytes, told, left, ended, again })
//
// `opened(socket)` gives the socket away before anything came (noVNC reads it itself), `bytes` gets
// what the guest shows, `told` what the gateway says, `ended` the end of a session that was left.
//
// It sets out as soon as it is made: whatever draws is loaded meanwhile, and made once `begun` says
// that the gateway is asked.

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 10_000;
const WAIT_MS = 5_000; // for a machine that does not run

// Close codes of the gateway.
const REFUSED = 4001;
const GONE = 4003;
const OVER = 4004;
const LIMIT = 4008;
const TAKEN = 4009;
const UNAVAILABLE = 4010;

const csrf = () => document.querySelector("meta[name=csrf-token]").content;

/** POST as the page's own user; returns status and answer, whatever it is. */
export async function post(url, body) {
  const headers = { Accept: "application/json", "X-CSRF-Token": csrf() };
  const response = await fetch(url, { method: "POST", headers, body, redirect: "manual" });
  const text = await response.text();
  try {
    return { status: response.status, text, ...JSON.parse(text) };
  } catch {
    return { status: response.status, text };
  }
}

export class Line {
  #status;
  #use = {};
  #served = Promise.withResolvers();
  #socket = null;
  #pause = FIRST_PAUSE_MS;
  #timer = 0;
  #waiting = false;
  #closed = false;
  #url;

  /** Where somebody else has the console (`data-held-by`), nothing is opened unasked. */
  constructor(element, { status = null } = {}) {
    this.element = element;
    this.#status = status;
    this.#url = element.dataset.ticketUrl;
    this.begun = element.dataset.heldBy ? Promise.resolve() : this.connect();
  }

  /** Hand what comes to `use`; what came before waited, in its order. */
  serve(use) {
    this.#use = use;
    this.#served.resolve();
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(data) {
    if (this.open) this.#socket.send(data);
  }

  say(message) {
    this.send(JSON.stringify(message));
  }

  /** Something about a machine changed: perhaps the one that is waited for runs now. */
  wake() {
    if (this.#waiting) this.connect();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  /** It stands: the next break is an ordinary one. */
  stands() {
    this.#pause = FIRST_PAUSE_MS;
  }

  /**
   * Get a ticket and show it to the gateway; `url`: from now on by tickets of this address.
   * Resolves when that is done, or cannot be.
   */
  async connect(url = this.#url) {
    this.#url = url;
    clearTimeout(this.#timer);
    this.#waiting = false;
    if (this.#closed || this.#socket) return;
    this.tell("connecting", "Connecting…");
    let answer;
    try {
      answer = await post(this.#url);
    } catch {
      this.#retry("The console does not answer.");
      return;
    }
    if (this.#closed) return;
    const why = answer.detail ?? answer.text;
    if (answer.status < 300 && answer.ticket) await this.#open(answer);
    else if (answer.status === 409) this.#wait(why || "The machine does not run.");
    else if (answer.status >= 500 || answer.status === 429) this.#retry("No answer.");
    else this.offer(why || "You may not open this console any more.", "Try again");
  }

  #open({ ticket, url, kind }) {
    const address = new URL(url, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const hear = async (event) => {
      await this.#served.promise;
      if (socket.onmessage === hear) this.#hear(socket, event);
      else socket.onmessage(event); // given away since it came
    };
    socket.onmessage = hear;
    socket.addEventListener("close", async (event) => {
      await this.#served.promise;
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#use.left?.();
      if (!this.#closed) this.#left(event);
    });
    return new Promise((done) => {
      socket.addEventListener("open", () => done(socket.send(JSON.stringify({ ticket, kind }))));
      socket.addEventListener("close", done);
    });
  }

  #hear(socket, { data }) {
    if (typeof data !== "string") {
      this.#use.bytes?.(new Uint8Array(data));
      return;
    }
    const message = JSON.parse(data);
    this.#use.told?.(message);
    if (message.type === "attached" && this.open) this.#use.opened?.(socket);
  }

  #left({ code, reason }) {
    if (code === OVER) this.#use.ended?.();
    else if (code === TAKEN) this.offer(reason, "Take back");
    else if ([REFUSED, GONE, LIMIT].includes(code)) this.offer(reason, "Try again");
    else if (code === UNAVAILABLE) this.#wait(reason);
    else this.#retry(reason || "The connection was lost.");
  }

  // --- how it stands ------------------------------------------------------------------------------
  tell(state, text = "") {
    this.element.dataset.state = state;
    if (!this.#status) return;
    this.#status.dataset.state = state;
    this.#status.textContent = text;
  }

  /** Say that it is over, and offer to go on: `url` where that needs another ticket. */
  offer(text, label, url = this.#url, state = "ended") {
    if (this.#status?.dataset.state !== state) this.tell(state, text);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = label;
    button.addEventListener("click", () => this.connect(url).then(() => this.#use.again?.()));
    this.#status?.append(" ", button);
  }

  #wait(text) {
    this.#waiting = true;
    this.tell("stopped", text);
    this.#timer = setTimeout(() => this.connect(), WAIT_MS);
  }

  #retry(text) {
    this.tell("reconnecting", `Reconnecting… ${text}`);
    this.#timer = setTimeout(() => this.connect(), this.#pause * (0.7 + Math.random() * 0.6));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }
}
