// A call as a drawing: who spoke when, what was cut short, how long answers took, when messages were delivered.

import { el, svg } from "./dom.js";
import { duration, seconds, several } from "./words.js";

const GUTTER = 76; // for the names of the rows
const HEIGHT = 172;
const ROWS = { agent: 26, caller: 78, messages: 126 };
const BAR = 26;
const MIN_PX_PER_S = 4;
const MAX_WIDTH = 8_000;
const LABEL_PX = 44;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

export function timeline() {
  const node = el("div", { class: "drawing", tabindex: "0", role: "region", "aria-label": "Timeline" });
  let shown = null;
  let width = 0;

  function draw() {
    width = node.clientWidth;
    if (shown !== null) node.replaceChildren(drawn(shown.call, shown.sent, width), key());
  }

  new ResizeObserver(() => node.clientWidth !== width && draw()).observe(node);
  return {
    node,
    update(both) {
      shown = both;
      draw();
    },
  };
}

function drawn(call, sent, available) {
  const lines = call.transcript.filter((line) => line.offset_s !== undefined);
  const answeredMs = Date.parse(call.answered_at ?? call.started_at);
  const marks = sent.map((message) => ({
    message,
    from_s: (Date.parse(message.created_at) - answeredMs) / 1000,
    to_s: message.sent_at ? (Date.parse(message.sent_at) - answeredMs) / 1000 : null,
  }));
  const span_s = Math.max(1, call.duration_s, ...marks.map((mark) => mark.from_s + 0.5));
  const width = Math.min(MAX_WIDTH, Math.max(available, GUTTER + span_s * MIN_PX_PER_S));
  const scale = (width - GUTTER - 12) / span_s;
  const x = (at_s) => GUTTER + Math.min(Math.max(at_s, 0), span_s) * scale;
  const drawing = svg(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": "drawn-title drawn-words" },
    svg("title", { id: "drawn-title" }, `Timeline of ${duration(call.duration_s)}`),
    svg("desc", { id: "drawn-words" }, inWords(call, lines, sent)),
    ...axis(span_s, scale, x, width),
    ...Object.entries({ Agent: "agent", Caller: "caller", Messages: "messages" }).map(([name, row]) =>
      svg("text", { x: 0, y: ROWS[row] + 18, class: "row" }, name),
    ),
  );
  let labelledTo = 0;
  lines.forEach((line, place) => {
    drawing.append(bar(line, x, call.duration_s));
    if (line.speaker !== "agent") return;
    if (line.interrupted) drawing.append(cut(x(line.offset_s + (line.duration_s ?? 0))));
    if (line.response_latency_s === undefined) return;
    const label = x(line.offset_s) >= labelledTo;
    if (label) labelledTo = x(line.offset_s) + LABEL_PX;
    drawing.append(...latency(line, x, label));
  });
  drawing.append(...marks.map((mark) => delivery(mark, x)));
  return drawing;
}

function inWords(call, lines, sent) {
  const [agent, caller] = ["agent", "caller"].map((speaker) => lines.filter((line) => line.speaker === speaker));
  const waits = agent.map((line) => line.response_latency_s).filter((wait) => wait !== undefined);
  const answers = waits.length ? `answers began after ${seconds(Math.min(...waits))} to ${seconds(Math.max(...waits))}` : "no answer";
  const delivered = sent.filter((message) => message.state === "sent").length;
  return `${several(agent.length, "agent line")}, ${several(caller.length, "caller turn")}, ${several(
    agent.filter((line) => line.interrupted).length,
    "interruption",
  )}, ${answers}, ${delivered} of ${several(sent.length, "message")} delivered. The list below has each of them.`;
}

function axis(span_s, scale, x, width) {
  const step_s = STEPS_S.find((step) => step * scale >= 64) ?? STEPS_S.at(-1);
  const parts = [];
  for (let at_s = 0; at_s <= span_s; at_s += step_s) {
    parts.push(svg("line", { x1: x(at_s), x2: x(at_s), y1: 14, y2: HEIGHT - 22, class: "grid" }));
    if (x(at_s) + 30 < width) parts.push(svg("text", { x: x(at_s), y: HEIGHT - 6, class: "tick" }, duration(at_s)));
  }
  return parts;
}

function bar(line, x, call_s) {
  const until_s = line.offset_s + (line.duration_s ?? Math.max(0.3, call_s - line.offset_s));
  const from = x(line.offset_s);
  const about = `${duration(line.offset_s)} ${line.speaker}: ${line.text || "(no transcript)"}`;
  return svg(
    "rect",
    { x: from, y: ROWS[line.speaker], width: Math.max(2, x(until_s) - from), height: BAR, rx: 3, class: line.speaker },
    svg("title", {}, about),
  );
}

function cut(at) {
  const top = ROWS.agent - 8;
  return svg(
    "g",
    { class: "cut" },
    svg("line", { x1: at, x2: at, y1: top, y2: ROWS.caller + BAR }),
    svg("path", { d: `M${at - 4} ${top - 4}l8 8m0-8l-8 8` }),
    svg("title", {}, "The caller interrupted the agent."),
  );
}

function latency(line, x, labelled) {
  const y = (ROWS.agent + BAR + ROWS.caller) / 2;
  const [from, to] = [x(line.offset_s - line.response_latency_s), x(line.offset_s)];
  const words = seconds(line.response_latency_s);
  const span = svg(
    "g",
    { class: "latency" },
    svg("line", { x1: from, x2: to, y1: y, y2: y }),
    svg("line", { x1: to, x2: to, y1: y, y2: ROWS.agent + BAR }),
    svg("title", {}, `The answer began after ${words}.`),
  );
  if (!labelled) return [span];
  // The newest answer may begin at the right edge.
  const place = to + LABEL_PX < x(Infinity) ? { x: to + 4 } : { x: from - 4, "text-anchor": "end" };
  return [span, svg("text", { ...place, y: y + 4, class: "latency" }, words)];
}

function delivery({ message, from_s, to_s }, x) {
  const y = ROWS.messages + 13;
  const from = x(from_s);
  const told = message.state === "sent" ? `delivered after ${seconds(Math.max(0, to_s - from_s))}` : message.state;
  const shape = {
    sent: () => svg("circle", { cx: from, cy: y, r: 4 }),
    ready: () => svg("circle", { cx: from, cy: y, r: 4, class: "hollow" }),
    dead: () => svg("path", { d: `M${from - 4} ${y - 4}l8 8m0-8l-8 8` }),
  }[message.state]();
  return svg(
    "g",
    { class: `message ${message.state}` },
    to_s === null ? null : svg("line", { x1: from, x2: x(to_s), y1: y, y2: y }),
    shape,
    svg("title", {}, `${message.type}, ${told}, ${several(message.attempts, "try").replace("trys", "tries")}`),
  );
}

function key() {
  const entries = [
    ["agent", "agent"],
    ["caller", "caller"],
    ["cut", "interruption"],
    ["latency", "wait for the answer"],
    ["sent", "delivered"],
    ["ready", "waiting"],
    ["dead", "given up"],
  ];
  return el("ul", { class: "key", "aria-hidden": "true" }, ...entries.map(([kind, name]) => el("li", { class: kind }, name)));
}
