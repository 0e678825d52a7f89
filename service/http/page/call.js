// One call, live or ended: its drawing and the same as a list, its claim, cost, quality and messages.

import { el, facts, redrawn, setText } from "./dom.js";
import { badge, claims, costs, quality } from "./facts.js";
import { messages } from "./outbox.js";
import { timeline } from "./timeline.js";
import { clock, duration, seconds, state, usd } from "./words.js";

const REREAD_MS = 2_000; // a live call is read again at most this often

export function selectedCall(onSelected) {
  const [section, heading, body, close] = ["call", "call-heading", "call-body", "close-call"].map((id) =>
    document.getElementById(id),
  );
  let callId = null;
  let call = null;
  let sent = [];
  let parts = null;
  let known = true;
  let readMs = 0;
  let waiting = null;

  const ended = () => call !== null && call.result !== null;
  const settled = () => ended() && sent.every((message) => message.state !== "ready");

  function select(id, { focus = true } = {}) {
    callId = id;
    call = parts = null;
    sent = [];
    known = true;
    section.hidden = id === null;
    history.replaceState(null, "", id === null ? location.pathname : `#${id}`);
    onSelected(id);
    if (id === null) return;
    setText(heading, "Call");
    body.replaceChildren(el("p", { class: "faint" }, "Reading …"));
    read();
    if (focus) {
      section.scrollIntoView();
      heading.focus({ preventScroll: true });
    }
  }

  async function read() {
    const id = callId;
    const path = `/calls/${encodeURIComponent(id)}`;
    readMs = Date.now();
    const [answer, told] = await Promise.all([ended() ? null : json(path), json(`${path}/messages`)]);
    if (id !== callId) return;
    call = answer?.body ?? call;
    sent = told.body?.messages ?? sent;
    if (call === null) {
      known = answer.status !== 404;
      if (!known) body.replaceChildren(unknown(), ...messages(sent));
      return;
    }
    if (parts === null) {
      parts = sections();
      body.replaceChildren(...parts.nodes);
      setText(heading, `Call from ${call.from}`);
    }
    parts.update({ call, sent });
  }

  // There is news: what may still change is read again, and not too often.
  function changed() {
    if (callId === null || !known || settled() || waiting !== null) return;
    waiting = setTimeout(() => {
      waiting = null;
      if (callId !== null) read();
    }, Math.max(0, readMs + REREAD_MS - Date.now()));
  }

  close.addEventListener("click", () => {
    const left = callId;
    select(null);
    document.querySelector(`[data-call="${CSS.escape(left)}"]`)?.focus();
  });
  return { select, changed };
}

async function json(path) {
  const answer = await fetch(path, { cache: "no-store" }).catch(() => null);
  return { status: answer?.status, body: answer?.ok ? await answer.json() : null };
}

function unknown() {
  return el(
    "p",
    { class: "empty" },
    "This worker does not know the call: it was another worker's, or long ago. What was delivered of it: claimline outbox list",
  );
}

function sections() {
  const views = [
    ["", redrawn(el("div"), summary), ({ call }) => call],
    ["Timeline", timeline(), (both) => both],
    ["As a list", redrawn(el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Call as a list" }), list), ({ call }) => call],
    ["Claim", redrawn(el("div"), claims), ({ call }) => call.claims],
    ["Cost by purpose", redrawn(el("div"), costs), ({ call }) => ({ cost: call.cost, cost_complete: call.cost_complete })],
    ["Quality", redrawn(el("div"), quality), ({ call }) => call.quality],
    ["Messages to the backend", redrawn(el("div"), messages), ({ sent }) => sent],
  ];
  const node = ([title, view]) => el("div", { class: "part" }, title ? el("h3", {}, title) : null, view.node);
  const [top, drawing, said, claim, cost, measured, sent] = views.map(node);
  return {
    nodes: [top, drawing, el("div", { class: "columns" }, said, claim, el("div", {}, cost, measured)), sent],
    update: (both) => views.forEach(([, view, part]) => view.update(part(both))),
  };
}

function summary(call) {
  const how = call.result === null ? state(call.state) : `${call.result}: ${call.reason}`;
  const kind = call.result === null || call.result === "success" ? "good" : "bad";
  return [
    facts([
      ["Began", clock(call.started_at)],
      ["Line", call.line],
      ["Duration", call.result === null ? null : duration(call.duration_s)],
      [call.result === null ? "State" : "Ended", badge(how, kind)],
      ["Cost", usd(call.cost_usd)],
      ["Model", call.model],
      ["Recording", call.recording],
      ["Wants a person", call.human_requested ? call.call_back_number ?? "yes" : null],
      ["Call", el("code", {}, call.call_id)],
    ]),
  ];
}

function list(call) {
  if (!call.transcript.length) return [el("p", { class: "faint" }, "Nobody spoke.")];
  return [el("ol", { class: "talk" }, ...call.transcript.map(entry))];
}

function entry(line) {
  const about = [];
  if (line.response_latency_s !== undefined) about.push(`answered after ${seconds(line.response_latency_s)}`);
  if (line.duration_s !== undefined) about.push(`${seconds(line.duration_s)} long`);
  if (line.interrupted) about.push("interrupted");
  return el(
    "li",
    { class: line.speaker },
    el("span", { class: "clock" }, line.offset_s === undefined ? "–" : duration(line.offset_s)),
    " ",
    el("span", { class: "who" }, line.turn ? `${line.speaker}, turn ${line.turn}` : line.speaker),
    " ",
    el("span", { class: "words" }, line.text || "(no transcript)"),
    " ",
    el("span", { class: "faint" }, about.join(", ")),
  );
}
