// The live calls: a card each, changed in place, so that nothing under a reader's eyes or fingers is replaced.

import { el, keyed, redrawn, setText } from "./dom.js";
import { badge, claims, costs, quality } from "./facts.js";
import { duration, several, state, usd } from "./words.js";

export function liveCalls(now, select) {
  const [list, empty, more] = ["live", "no-live", "more-live"].map((id) => document.getElementById(id));
  const show = keyed(list, (call) => call.call_id, (call) => card(call, select));
  let cards = new Map();
  let dial = "";
  let known = null;

  function sayEmpty() {
    empty.hidden = known === null || known.count > 0;
    if (dial) setText(empty, `No live calls. Dial ${dial}: the call appears here while it rings.`);
    else setText(empty, "No live calls. The worker is not answering yet.");
  }

  function tick() {
    for (const one of cards.values()) one.tick(now());
  }

  setInterval(tick, 1000);
  return {
    update(live) {
      known = live;
      cards = show(live.calls);
      more.hidden = live.count <= live.calls.length;
      setText(more, `Shown are the newest ${live.calls.length} of ${live.count} live calls.`);
      sayEmpty();
      tick();
    },
    dialled(uri) {
      dial = uri;
      sayEmpty();
    },
  };
}

function card(first, select) {
  const from = el("h3", {}, first.from);
  const shownState = badge("");
  const [lasted, cost, facing] = [el("span", { class: "clock" }), el("span"), el("span", { class: "faint" })];
  const open = el("button", { type: "button", "data-call": first.call_id }, "Timeline");
  open.addEventListener("click", () => select(first.call_id));
  const talk = transcript();
  const claim = redrawn(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Claim" }), claims);
  const measured = redrawn(el("div"), quality);
  const spent = redrawn(el("div"), costs);
  let startedMs = 0;

  const node = el(
    "article",
    { class: "card", "aria-label": `Call from ${first.from}` },
    el("div", { class: "heading" }, from, shownState, facing, el("span", { class: "push" }), lasted, cost, open),
    el(
      "div",
      { class: "columns" },
      el("div", {}, el("h4", {}, "Transcript"), talk.node),
      el("div", {}, el("h4", {}, "Claim"), claim.node),
      el(
        "div",
        {},
        el("h4", {}, "Quality"),
        measured.node,
        el("details", {}, el("summary", {}, "Cost by purpose"), spent.node),
      ),
    ),
  );
  return {
    node,
    update(call) {
      startedMs = Date.parse(call.started_at);
      setText(shownState, state(call.state));
      shownState.className = `badge ${call.state === "LIVE" ? "good pulse" : "open"}`;
      const wants = call.human_requested ? ", wants a person" : "";
      setText(facing, `to ${call.line}, ${several(call.turns, "turn")}${wants}`);
      setText(cost, usd(call.cost_usd));
      talk.update(call);
      claim.update(call.claims);
      measured.update(call.quality);
      spent.update({ cost: call.cost, cost_complete: call.cost_complete });
    },
    tick(nowMs) {
      setText(lasted, duration((nowMs - startedMs) / 1000));
    },
  };
}

function transcript() {
  const before = el("p", { class: "faint", hidden: true });
  const lines = el("ol", { class: "talk" });
  const node = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Transcript" }, before, lines);
  const show = keyed(lines, (line) => line.place, () => spoken());
  return {
    node,
    update(call) {
      const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 40;
      before.hidden = call.lines_before === 0;
      setText(before, `${several(call.lines_before, "earlier line")}: see its timeline.`);
      const said = call.lines.length ? call.lines : [{ speaker: "", text: "Nobody has spoken yet.", interrupted: false }];
      show(said.map((line, place) => ({ ...line, place })));
      if (atEnd) node.scrollTop = node.scrollHeight;
    },
  };
}

function spoken() {
  const [who, words] = [el("span", { class: "who" }), el("span", { class: "words" })];
  const cut = badge("interrupted", "open");
  const node = el("li", {}, who, " ", words, " ", cut);
  return {
    node,
    update(line) {
      node.className = line.speaker || "faint";
      setText(who, line.speaker);
      setText(words, line.text || "(no transcript)");
      cut.hidden = !line.interrupted;
    },
  };
}
