// The player of recordings: text (asciicast v2) by xterm.js, screens (FBS) by noVNC.
//
// Everything is fetched once and then played from memory.  Going back begins anew and runs quickly
// to the wanted second: what a terminal or a screen shows is the sum of all before it.

import { makeTerminal } from "./tty.js";

const SHORT_SECONDS = 1.5; // of a pause that is shortened
const TICK_MS = 50;
const VERSION_BYTES = 12; // of RFB, at the beginning of a screen

const byId = (id) => document.getElementById(id);
const stage = byId("player");
const [play, time, clock, speed, short] = ["play", "time", "clock", "speed", "short"].map((name) =>
  byId(`player-${name}`),
);
const status = byId("player-status");
const remark = byId("player-remark");

// --- what is played: events of { at: seconds, show() } ---------------------------------------------
function castOf(bytes) {
  const [head, ...lines] = new TextDecoder().decode(bytes).trimEnd().split("\n");
  const { width, height } = JSON.parse(head);
  const terminal = makeTerminal(stage, { cols: width, rows: height, disableStdin: true });
  const acts = {
    o: (text) => terminal.write(text),
    r: (text) => terminal.resize(...text.split("x").map(Number)),
    m: (text) => {
      remark.textContent = text;
    },
    i: (text) => {
      remark.textContent = `typed: ${JSON.stringify(text)}`;
    },
  };
  const events = lines.map((line) => {
    const [at, code, text] = JSON.parse(line);
    return { at, show: () => acts[code]?.(text) };
  });
  const begin = () => {
    terminal.reset();
    terminal.resize(width, height);
  };
  return { events, begin };
}

/** What noVNC takes for its connection to a server. */
class Channel extends EventTarget {
  binaryType = "arraybuffer";
  protocol = "";
  readyState = "open";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  send() {} // a recording listens to nobody

  close() {
    this.readyState = "closed";
    this.onclose?.({ code: 1000, reason: "" });
  }
}

function* blocksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = "FBS 001.001\n".length;
  while (at + 8 <= bytes.byteLength) {
    const length = view.getUint32(at);
    const data = bytes.slice(at + 4, at + 4 + length);
    at += 4 + length + ((4 - (length % 4)) % 4);
    yield { ms: view.getUint32(at), data };
    at += 4;
  }
}

async function screenOf(bytes) {
  const { default: RFB } = await import("../vendor/novnc/core/rfb.js");
  let channel = null;
  let rfb = null;
  const begin = () => {
    rfb?.disconnect();
    stage.replaceChildren();
    channel = new Channel();
    rfb = new RFB(stage, channel, { shared: true });
    rfb.viewOnly = true;
    rfb.scaleViewport = true;
    rfb.background = "transparent";
  };
  const tell = (data) => channel.onmessage?.({ data: data.buffer });
  const events = [...blocksOf(bytes)].map(({ ms, data }, index) => ({
    at: ms / 1000,
    show: () => {
      // What comes together with the version noVNC leaves until it hears more.
      if (index === 0) tell(data.slice(0, VERSION_BYTES));
      tell(index === 0 ? data.slice(VERSION_BYTES) : data);
    },
  }));
  return { events, begin };
}

// --- playing -----------------------------------------------------------------------------------------
let cast = null;
let next = 0;
let now = 0;
let timer = 0;

const written = (seconds) =>
  `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

function tell() {
  time.value = String(now);
  clock.textContent = `${written(now)} of ${written(Number(time.max))}`;
}

function goTo(seconds) {
  if (seconds < now) {
    next = 0;
    remark.textContent = "";
    cast.begin();
  }
  now = seconds;
  while (next < cast.events.length && cast.events[next].at <= now) {
    cast.events[next].show();
    next += 1;
  }
  tell();
}

function stop() {
  clearInterval(timer);
  timer = 0;
  play.textContent = "Play";
}

function tick(last) {
  const moment = performance.now();
  let seconds = now + ((moment - last.at) / 1000) * Number(speed.value);
  last.at = moment;
  const coming = cast.events[next]?.at ?? Number(time.max);
  if (short.checked && coming - seconds > SHORT_SECONDS) seconds = coming - SHORT_SECONDS;
  goTo(Math.min(seconds, Number(time.max)));
  if (next >= cast.events.length) stop();
}

play.addEventListener("click", () => {
  if (timer) {
    stop();
    return;
  }
  if (next >= cast.events.length) goTo(-1);
  now = Math.max(now, 0);
  const last = { at: performance.now() };
  timer = setInterval(() => tick(last), TICK_MS);
  play.textContent = "Pause";
});
time.addEventListener("input", () => {
  stop();
  goTo(Number(time.value));
});

async function load() {
  const response = await fetch(stage.dataset.contentUrl);
  if (!response.ok) throw new Error("The recording cannot be loaded.");
  const bytes = new Uint8Array(await response.arrayBuffer());
  cast = stage.dataset.kind === "text" ? castOf(bytes) : await screenOf(bytes);
  cast.begin();
  time.max = String(cast.events.at(-1)?.at ?? 0);
  play.disabled = time.disabled = cast.events.length === 0;
  status.textContent = cast.events.length ? "" : "There is nothing in it.";
  tell();
}

load().catch((error) => {
  status.textContent = error.message;
});
