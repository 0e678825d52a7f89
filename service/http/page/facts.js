// What both a live call and an ended one show: claim, quality, cost.

import { el, facts } from "./dom.js";
import { median, named, seconds, usd } from "./words.js";

export function claims(known) {
  if (!known.length) return [el("p", { class: "faint" }, "Nothing noted yet.")];
  return known.flatMap((claim) => [
    el("p", { class: "reference" }, el("code", {}, claim.reference), " ", badge(claim.state)),
    el(
      "dl",
      { class: "claim" },
      ...Object.entries(claim.fields).flatMap(([name, field]) => [el("dt", {}, named(name)), known_field(field)]),
    ),
    claim.missing.length
      ? el("p", { class: "missing" }, el("strong", {}, "Still to settle: "), claim.missing.map(named).join(", "))
      : el("p", { class: "faint" }, "Nothing is missing."),
  ]);
}

function known_field(field) {
  const shown = el("dd", {}, field.unknown ? "not known to the caller" : value(field.value), " ", fieldState(field));
  if (field.conflict) {
    shown.append(
      el("p", { class: "conflict" }, `The agent said “${field.conflict.agent}”, the caller “${field.conflict.caller}”.`),
    );
  }
  for (const problem of field.problems) shown.append(el("p", { class: "problem" }, problem));
  return shown;
}

function fieldState(field) {
  if (field.conflict) return badge("conflict", "bad");
  if (field.unknown) return badge("unknown");
  return field.confirmed ? badge("confirmed", "good") : badge("not confirmed", "open");
}

const value = (given) => (given === true ? "yes" : given === false ? "no" : given ?? "–");

export const badge = (words, kind = "") => el("span", { class: `badge ${kind}` }, words);

export function quality(measured) {
  const latencies = measured.response_latency_s;
  const given = (name, unit) => (typeof measured[name] === "number" ? `${measured[name]} ${unit}`.trim() : null);
  return [
    facts([
      ["Codec", measured.codec || null],
      ["Loss", given("rx_loss_percent", "%")],
      ["Jitter", given("rx_jitter_ms", "ms")],
      ["Round trip", given("round_trip_ms", "ms")],
      ["MOS", given("mos", "")],
      ["Interruptions", String(measured.interruptions)],
      ["Answers began after", latencies.length ? `${seconds(median(latencies))}, worst ${seconds(Math.max(...latencies))}` : null],
      ["Audio gaps", measured.playout_underruns ? String(measured.playout_underruns) : null],
    ]),
  ];
}

export function costs(call) {
  const rows = Object.entries(call.cost).map(([purpose, cost]) => [named(purpose), usd(cost)]);
  const parts = [rows.length ? facts(rows) : el("p", { class: "faint" }, "Nothing was used yet.")];
  if (!call.cost_complete) parts.push(el("p", { class: "problem" }, "Not complete: a price or a report is missing."));
  return parts;
}
