// Live pages: the gateway names what changed, and each part of the page that shows it is fetched
// again.  `data-live="machine:7 operation:*"` on an element says what it shows; it gets the event
// `live`, on which htmx fetches it.
//
// A hidden page lets go of its stream (browsers allow few connections to one server) and catches
// up when it is seen again.  While there is no stream the page says so and asks by itself.

const STREAM = "/live/events";
const GATHER_MS = 250;
const POLL_MS = 10_000;
const LOST_AFTER_MS = 3_000;
const HIDDEN_AFTER_MS = 10_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

const root = document.documentElement;
let source = null;
let heard = document.body.dataset.change ?? null; // number of the last event, first the page's own
let pause = FIRST_PAUSE_MS;
let timers = {};

function after(name, milliseconds, act) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(act, milliseconds);
}

function stop(...names) {
  for (const name of names) clearTimeout(timers[name]);
}

// --- what is fetched again ----------------------------------------------------------------------
const due = new Set();
const busy = new WeakSet();
let gathering = false;

function fetchAgain(elements) {
  for (const element of elements) due.add(element);
  if (gathering || due.size === 0) return;
  gathering = true;
  // The first change is shown at once; those that follow closely are shown together.
  flush();
  setTimeout(() => {
    gathering = false;
    fetchAgain([]);
  }, GATHER_MS);
}

function flush() {
  for (const element of [...due]) {
    if (busy.has(element)) continue; // what is on its way may be old: once more after it
    due.delete(element);
    if (!element.isConnected) continue;
    busy.add(element);
    const done = () => {
      busy.delete(element);
      element.removeEventListener("htmx:afterRequest", done);
      clearTimeout(patience);
      if (due.has(element)) fetchAgain([]);
    };
    const patience = setTimeout(done, POLL_MS);
    element.addEventListener("htmx:afterRequest", done);
    element.dispatchEvent(new CustomEvent("live", { bubbles: false }));
  }
}

const live = () => [...document.querySelectorAll("[data-live]")];

function changed({ kind, id }) {
  const names = new Set([`${kind}:${id}`, `${kind}:*`]);
  fetchAgain(live().filter((element) => element.dataset.live.split(/\s+/).some((n) => names.has(n))));
  document.dispatchEvent(new CustomEvent("live:change", { detail: { kind, id } }));
}

// --- the stream -----------------------------------------------------------------------------------
function open() {
  close();
  source = new EventSource(heard === null ? STREAM : `${STREAM}?after=${heard}`);
  source.addEventListener("hello", (event) => {
    remember(event);
    pause = FIRST_PAUSE_MS;
    const missed = root.classList.contains("stale");
    found();
    if (missed) fetchAgain(live());
  });
  source.addEventListener("change", (event) => {
    remember(event);
    changed(JSON.parse(event.data));
  });
  source.addEventListener("resync", () => fetchAgain(live()));
  source.addEventListener("ended", () => {
    // Signed out: the next thing that is asked for leads to the sign-in page.
    close();
    lost();
  });
  source.addEventListener("error", failed);
}

function remember(event) {
  if (event.lastEventId) heard = event.lastEventId;
}

function close() {
  source?.close();
  source = null;
  stop("again");
}

function failed() {
  if (!timers.lost) timers.lost = setTimeout(lost, LOST_AFTER_MS);
  // A broken stream is opened again by the browser; a refused one is not.
  if (source?.readyState !== EventSource.CLOSED) return;
  close();
  after("again", pause * (0.7 + Math.random() * 0.6), open);
  pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
}

function found() {
  stop("lost", "poll");
  timers.lost = null;
  root.classList.remove("stale");
}

function lost() {
  root.classList.add("stale");
  after("poll", POLL_MS, () => {
    fetchAgain(live());
    lost();
  });
}

// --- seen and hidden --------------------------------------------------------------------------------
function see() {
  stop("hide");
  if (source === null) open();
  if (root.classList.contains("stale")) lost();
}

function hide() {
  after("hide", HIDDEN_AFTER_MS, () => {
    close();
    stop("lost", "poll");
    timers.lost = null;
  });
}

document.addEventListener("visibilitychange", () => (document.hidden ? hide() : see()));
window.addEventListener("pagehide", close); // a page in the browser's memory holds no stream
window.addEventListener("pageshow", (event) => event.persisted && see());
if (!document.hidden) open();
