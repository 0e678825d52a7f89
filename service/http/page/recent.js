// The table of calls that have ended.

import { el, keyed, setText } from "./dom.js";
import { clock, duration, usd } from "./words.js";

export function recentCalls(select) {
  const [table, rows, empty] = ["recent", "recent-rows", "no-recent"].map((id) => document.getElementById(id));
  const show = keyed(rows, (call) => call.call_id, (call) => row(call, select));
  let shown = new Map();
  let selected = null;

  function mark() {
    for (const [id, one] of shown) one.mark(id === selected);
  }

  return {
    update({ calls }) {
      shown = show(calls);
      table.hidden = !calls.length;
      empty.hidden = calls.length > 0;
      mark();
    },
    selected(callId) {
      selected = callId;
      mark();
    },
  };
}

function row(call, select) {
  const open = el("button", { type: "button", class: "link", "data-call": call.call_id });
  open.addEventListener("click", () => select(call.call_id));
  const cells = ["Began", "From", "Line", "Duration", "Turns", "Ended", "Cost"].map((label) =>
    el("td", { "data-label": label, class: ["Duration", "Turns", "Cost"].includes(label) && "number" }),
  );
  cells[0].append(open);
  const node = el("tr", {}, ...cells);
  return {
    node,
    update(known) {
      setText(open, clock(known.started_at));
      open.setAttribute("aria-label", `${open.textContent}: show the call from ${known.from}`);
      const words = [
        known.from,
        known.line,
        duration(known.duration_s),
        String(known.turns),
        `${known.result}: ${known.reason}`,
        usd(known.cost_usd),
      ];
      words.forEach((text, place) => setText(cells[place + 1], text));
      cells[5].classList.toggle("failed", known.result !== "success");
    },
    mark(is) {
      if (is) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
    },
  };
}
