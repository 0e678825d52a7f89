// The console: what the worker tells, put where it belongs.

import { selectedCall } from "./call.js";
import { setText } from "./dom.js";
import { liveCalls } from "./live.js";
import { outbox } from "./outbox.js";
import { recentCalls } from "./recent.js";
import { connect } from "./stream.js";
import { clock } from "./words.js";

const worker = document.getElementById("worker");
const connection = document.getElementById("connection");

let aheadMs = 0; // the worker's clock, seen from here

const call = selectedCall((callId) => recent.selected(callId));
const recent = recentCalls(call.select);
const live = liveCalls(() => Date.now() + aheadMs, call.select);
const delivered = outbox();

connect({
  time(workerMs) {
    aheadMs = workerMs - Date.now();
  },
  connected() {
    setText(connection, "Connected");
    document.body.classList.remove("lost");
  },
  lost(sinceMs) {
    setText(connection, `Connection lost. What you see is from ${clock(sinceMs)}. Trying again …`);
    document.body.classList.add("lost");
  },
  locked() {
    location.reload();
  },
  worker({ ready, reasons, dial }) {
    setText(worker, ready ? "Takes calls" : `Takes no calls: ${reasons.join(", ")}`);
    worker.className = ready ? "badge good" : "badge bad";
    live.dialled(dial);
  },
  live(told) {
    live.update(told);
    setText(document.querySelector("title"), told.count ? `(${told.count}) claimline` : "claimline");
    call.changed();
  },
  recent(told) {
    recent.update(told);
    call.changed();
  },
  outbox(told) {
    delivered.update(told);
    call.changed();
  },
});

function fromAddress() {
  const callId = location.hash.slice(1);
  if (callId && callId !== "main") call.select(callId, { focus: false });
}

window.addEventListener("hashchange", fromAddress);
fromAddress();
