// What every part of the page needs: elements, names, colors, times.

export const $ = (id) => document.getElementById(id);

// A row may hold anything in any column. These make of it what the page reckons with.
export const asText = (v) => (typeof v === "string" ? v : typeof v === "number" || typeof v === "boolean" ? String(v) : "");
export const asRecord = (v) => (v && typeof v === "object" && !Array.isArray(v) ? v : {});
export const asList = (v) => (Array.isArray(v) ? v : v === undefined || v === null || v === "" ? [] : [v]);
export const asTime = (v) => (Number.isNaN(Date.parse(asText(v))) ? new Date(0).toISOString() : asText(v));
// blank: nothing of it would be seen, such as of a lone zero-width space.
export const blank = (text) => !/[^\s\p{Cc}\p{Cf}\p{Z}\u115f\u1160\u2800\u3164\ufe0f\uffa0]/u.test(text);

// el makes an element. Texts become text nodes, so that nothing anybody writes is markup.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === undefined || value === null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
export const icon = (name, label) => svg("svg", label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }, svg("use", { href: "#i-" + name }));

// Dark enough for white letters, 4.5 to 1 and more.
const colors = ["#007485", "#964360", "#6f6500", "#5f57a1", "#127646", "#954d18", "#3a62a4", "#8c477a", "#4d701f", "#006c9a", "#9a453f", "#007768", "#794e92", "#865900"];
const hash = (text) => [...text].reduce((n, c) => (n * 31 + c.codePointAt(0)) >>> 0, 7);
// People get colors one after the other, so that few share one; the rest by its name.
const owned = new Map();
export const ownColors = (keys) => { owned.clear(); keys.forEach((key, i) => owned.set(key, colors[i % colors.length])); };
export const colorOf = (text) => owned.get(text) || colors[hash(String(text)) % colors.length];
export const initials = (name) => {
  const words = String(name).split(/[\s@._-]+/).filter((w) => /[\p{L}\p{N}#]/u.test(w));
  return words.slice(0, 2).map((w) => [...w][0].toUpperCase()).join("") || "#";
};

// paint turns a span into a face: initials on a color that stays the same.
export function paint(node, name, key, square) {
  node.textContent = initials(name);
  node.style.setProperty("--face", colorOf(key));
  node.classList.toggle("square", Boolean(square));
  return node;
}
export const face = (name, key, square) => paint(el("span", { class: "face", "aria-hidden": "true" }), name, key, square);

export const personName = (contact) => {
  const d = asRecord(contact && contact.data), of = (...names) => names.map((n) => asText(d[n]).trim()).filter(Boolean);
  return of("Full name", "fullName", "Name")[0] || of("First name", "Last name").join(" ") || of("Email", "email")[0] || "Somebody";
};
export const personTitle = (contact) => { const d = asRecord(contact && contact.data); return asText(d.Title) || asText(d.Email); };
export const firstName = (name) => name.split(" ")[0];

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const weekday = new Intl.DateTimeFormat([], { weekday: "short" });
const date = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });
const longDate = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });
const midnight = (t) => new Date(t).setHours(0, 0, 0, 0);
const daysAgo = (t) => Math.round((midnight(Date.now()) - midnight(t)) / 864e5);
export const timeOf = (t) => clock.format(new Date(t));
export const dayKey = (t) => String(midnight(t));
export const shortTime = (t) => [() => timeOf(t), () => "Yesterday"][daysAgo(t)]?.() ?? (daysAgo(t) < 7 ? weekday : date).format(new Date(t));
export const dayName = (t) => ["Today", "Yesterday"][daysAgo(t)] ?? longDate.format(new Date(t));

// linked makes addresses in a text links, and marks what was searched for.
export function linked(text) {
  return String(text).split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])/).map((part, i) =>
    i % 2 ? el("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part) : part);
}
export function marked(text, query) {
  const at = text.toLowerCase().indexOf(query.toLowerCase());
  if (!query || at < 0) return [text];
  const from = Math.max(0, at - 24);
  return [(from ? "…" : "") + text.slice(from, at), el("mark", {}, text.slice(at, at + query.length)), text.slice(at + query.length)];
}

// onlyEmoji: up to three emoji and nothing else are shown large.
export const onlyEmoji = (text) => text.length < 30 && /^(?:\p{Extended_Pictographic}[\p{Emoji_Modifier}\u200d\ufe0f\p{Extended_Pictographic}]*\s*){1,3}$/u.test(text);

export function toast(text) {
  const note = el("p", {}, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 4500);
}
// sure asks before something that cannot be taken back.
export function sure(question, yes) {
  const box = $("sure");
  $("sure-text").textContent = question;
  $("sure-yes").textContent = yes;
  box.returnValue = "";
  box.showModal();
  return new Promise((done) => box.addEventListener("close", () => done(box.returnValue === "yes"), { once: true }));
}
export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// menuKeys lets arrows walk through the buttons of a menu.
export function menuKeys(menu) {
  menu.addEventListener("keydown", (e) => {
    const items = [...menu.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[e.key];
    if (!step || !items.length) return;
    e.preventDefault();
    const at = items.indexOf(document.activeElement) + step;
    items[Math.abs(step) === Infinity ? (step < 0 ? 0 : items.length - 1) : (at + items.length) % items.length].focus();
  });
}

// beside puts something that floats next to a button, inside the window.
export function beside(box, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: w, offsetHeight: h } = box;
  const left = Math.max(8, Math.min(at.right - w, innerWidth - w - 8));
  const below = at.bottom + 6 + h < innerHeight;
  box.style.left = (at.left < w ? Math.max(8, Math.min(at.left, innerWidth - w - 8)) : left) + "px";
  box.style.top = (below ? at.bottom + 6 : Math.max(8, at.top - h - 6)) + "px";
}
