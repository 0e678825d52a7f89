// The worker's news: connects again by itself, and says when what is shown may be old.

const TOPICS = ["worker", "live", "recent", "outbox"];
const SILENCE_MS = 25_000; // the worker says something every 10 s
const LOST_AFTER_MS = 1_500; // a stream that is only being renewed is not lost
const MAX_WAIT_MS = 30_000;

// Tells `told.worker(data)` and so on by topic, `told.time(workerMs)`, `told.connected()`, `told.lost(sinceMs)`, and
// `told.locked()` when the login has ended.
export function connect(told) {
  let source = null;
  let heardMs = Date.now();
  let openedMs = 0;
  let waitMs = 1_000;
  let lostTimer = null;

  function heard() {
    heardMs = Date.now();
    waitMs = 1_000;
    clearTimeout(lostTimer);
    lostTimer = null;
    told.connected();
  }

  function missing() {
    lostTimer ??= setTimeout(() => told.lost(heardMs), LOST_AFTER_MS);
  }

  function open() {
    source?.close();
    openedMs = Date.now();
    source = new EventSource("/events");
    source.addEventListener("hello", (event) => {
      told.time(Date.parse(JSON.parse(event.data).now));
      heard();
    });
    source.addEventListener("heartbeat", heard);
    for (const topic of TOPICS) {
      source.addEventListener(topic, (event) => {
        heard();
        told[topic](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", failed);
  }

  function failed() {
    missing();
    // While CONNECTING the browser tries again by itself; CLOSED is an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(reopen, waitMs);
      waitMs = Math.min(2 * waitMs, MAX_WAIT_MS);
    }
  }

  async function reopen() {
    const answer = await fetch("/", { method: "HEAD", cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) told.locked();
    else open();
  }

  setInterval(() => {
    if (source.readyState !== EventSource.CLOSED && Date.now() - Math.max(heardMs, openedMs) > SILENCE_MS) {
      missing();
      open();
    }
  }, 5_000);
  open();
}
