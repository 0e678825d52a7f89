// What waits for the claims backend, and how that endpoint is.

import { el, facts, redrawn } from "./dom.js";
import { badge } from "./facts.js";
import { age, clock } from "./words.js";

const ENDPOINT = {
  ok: ["ok", "good", ""],
  failing: ["failing", "open", "One message at a time probes it; the others wait, none is lost."],
  disabled: ["disabled", "bad", "It answered 410. When it takes messages again: claimline outbox resume"],
};

export function outbox() {
  const view = redrawn(document.getElementById("outbox"), drawn);
  return { update: view.update };
}

function drawn(known) {
  if (known.problem) return [el("p", { class: "problem" }, `The outbox cannot be read: ${known.problem}`)];
  const [words, kind, hint] = ENDPOINT[known.endpoint] ?? [known.endpoint, "", ""];
  const parts = [
    facts([
      ["Waiting", String(known.pending)],
      ["Oldest", known.pending ? age(known.oldest_age_s) : "–"],
      ["Given up", known.dead ? badge(String(known.dead), "bad") : "0"],
      ["Endpoint", badge(words, kind)],
    ]),
  ];
  if (known.endpoint !== "ok" && known.last_error) parts.push(el("p", { class: "problem" }, `Last error: ${known.last_error}`));
  if (hint) parts.push(el("p", { class: "faint" }, hint));
  if (known.dead) parts.push(el("p", { class: "faint" }, "What was given up, and why: claimline outbox list --dead"));
  return parts;
}

export function messages(sent) {
  if (!sent.length) return [el("p", { class: "faint" }, "The outbox holds no message of this call (any more).")];
  const headings = ["#", "Type", "State", "Tries", "Written", "Accepted", "Last error"];
  return [
    el(
      "table",
      { class: "cards" },
      el("thead", {}, el("tr", {}, ...headings.map((heading) => el("th", { scope: "col" }, heading)))),
      el("tbody", {}, ...sent.map((message) => messageRow(message, headings))),
    ),
  ];
}

const STATES = { sent: ["accepted", "good"], ready: ["waiting", "open"], dead: ["given up", "bad"] };

function messageRow(message, headings) {
  const values = [
    String(message.seq),
    message.type,
    badge(...(STATES[message.state] ?? [message.state])),
    String(message.attempts),
    clock(message.created_at),
    message.sent_at ? clock(message.sent_at) : "–",
    message.last_error ?? "",
  ];
  return el("tr", {}, ...values.map((value, place) => el("td", { "data-label": headings[place] }, value)));
}
