// How times, money and states read.

const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });

const STATES = {
  OPENING: "ringing",
  ANSWERED: "answered",
  LIVE: "live",
  RESUMING: "reconnecting",
  CLOSING: "closing",
  ENDED: "ended",
};

export const state = (name) => STATES[name] ?? name;

export function clock(at) {
  const moment = new Date(at);
  const today = new Date().toDateString() === moment.toDateString();
  return today ? CLOCK.format(moment) : `${DAY.format(moment)} ${CLOCK.format(moment)}`;
}

// 75.4 → 1:15
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

export function age(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function usd(cost) {
  if (cost === null || cost === undefined) return "price unknown";
  return `$${Number(cost).toFixed(4)}`;
}

// policy_number → Policy number
export const named = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

export const several = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

export const seconds = (value) => `${value.toFixed(value < 10 ? 2 : 1)} s`;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
