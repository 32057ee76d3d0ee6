// How the page makes elements. Whatever names and rows hold becomes a text, never markup.

export const byId = (id) => document.getElementById(id);

// el makes an element. Attributes that are null or false are left out.
export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== false));
  return node;
}

// setText leaves what is right already alone, so that nothing is read out again.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const shown = new WeakMap(); // an element → what show put there: key → {text, node}

// show makes the children of an element those of a list. What has not changed keeps its
// element, and with it the focus and the selection.
export function show(parent, items, key, build) {
  const before = shown.get(parent) ?? new Map();
  const now = new Map();
  let held = null;
  for (const [k, { node }] of before) {
    if (node.contains(document.activeElement)) held = k;
  }
  for (const item of items) {
    const k = key(item);
    const text = JSON.stringify(item);
    const old = before.get(k);
    now.set(k, old?.text === text ? old : { text, node: build(item) });
  }
  const kept = new Set([...now.values()].map((v) => v.node));
  let next = parent.firstChild;
  for (const node of kept) {
    // What is gone goes first, or everything after it would be moved.
    while (next && !kept.has(next)) next = drop(next);
    if (next === node) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  while (next) next = drop(next);
  shown.set(parent, now);
  if (held !== null && now.has(held) && !parent.contains(document.activeElement)) {
    const node = now.get(held).node;
    (node.querySelector("button, [tabindex]") ?? node).focus({ preventScroll: true });
  }
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// Times are in UTC, as they come from the server: 2026-11-26T21:15:02.123Z.
export const day = (iso) => iso.slice(0, 10);
export const minute = (iso) => iso.slice(11, 16);
export const second = (iso) => iso.slice(11, 19);
export const exact = (iso) => iso.slice(0, 10) + " " + iso.slice(11, 23) + " UTC";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function dayName(iso, now) {
  if (day(iso) === day(now)) return "Today";
  const date = Number(iso.slice(8, 10)) + " " + months[Number(iso.slice(5, 7)) - 1];
  return iso.slice(0, 4) === now.slice(0, 4) ? date : date + " " + iso.slice(0, 4);
}

// when is the time of day for today, and the day before that.
export const when = (iso, now) => (day(iso) === day(now) ? minute(iso) : dayName(iso, now));

// hue gives somebody the same color each time.
export function hue(id) {
  let sum = 0;
  for (const c of id) sum = (sum * 31 + c.codePointAt(0)) >>> 0;
  return "hue" + (sum % 8);
}

export function initials(name) {
  const words = name.split(/[\s@._-]+/u).filter((w) => /^[\p{L}\p{N}]/u.test(w));
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((w) => [...w][0].toUpperCase()).join("") || "?";
}
