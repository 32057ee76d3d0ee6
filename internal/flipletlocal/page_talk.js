// The messages of one conversation as bubbles: a window on them that moves.

import { byId, day, dayName, el, exact, minute, setText, show } from "./page_dom.js";
import { avatar } from "./page_lists.js";

const step = 50; // messages that are fetched at a time
const most = 200; // in the window; more makes a browser slow

const none = { id: 0, messages: [], earlier: false, later: false, info: null };
let window_ = none;
let as = ""; // the flUserId whose side is the right one
let turn = 0; // answers to what was asked before another conversation was opened are not shown
let busy = Promise.resolve(); // one change of the window at a time

const scroller = byId("messages");

async function fetchMessages(id, ask) {
  const query = new URLSearchParams({ id, as, ...ask });
  const answer = await fetch("messages.json?" + query, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

// change fetches, and shows the window that the answer makes: at its end, or where it was.
function change(ask, make, end) {
  const mine = turn;
  const { id } = window_;
  const done = busy.catch(() => {}).then(async () => {
    if (mine !== turn || !id) return;
    const got = await fetchMessages(id, ask());
    if (mine !== turn) return;
    if (!got) return close("It is not there any more.");
    window_ = { id, info: got, ...make(got) };
    draw(end);
  });
  busy = done;
  return done;
}

// open shows the newest messages of a conversation, as one person sees it.
export function open(id, viewer) {
  as = viewer;
  turn++;
  if (id !== window_.id) {
    window_ = { ...none, id };
    show(byId("bubbles"), [], (m) => m.id, () => null);
  }
  return change(() => ({ n: step }), (got) => got, true);
}

export function close(why) {
  turn++;
  window_ = none;
  setText(byId("talk-title"), "No conversation");
  byId("talk-kind").hidden = true;
  byId("talk-people").replaceChildren();
  draw();
  setText(byId("talk-empty"), why ?? "Choose a conversation.");
}

export const current = () => window_.id;

// refresh asks for what the window shows again. Where it is at the end it stays there, and
// returns how many messages have come.
export async function refresh(viewer) {
  if (!window_.id) return 0;
  as = viewer;
  const last = window_.messages.at(-1)?.id ?? 0;
  const count = Math.max(step, window_.messages.length);
  const follow = atEnd();
  const ask = () => (follow || !window_.messages.length ? { n: count } : { from: window_.messages[0].key, n: Math.min(most, count + step) });
  await change(ask, (got) => got, follow);
  return window_.messages.filter((m) => m.id > last && m.kind !== "deleted").length;
}

function earlier() {
  if (!window_.earlier) return;
  return change(() => ({ before: window_.messages[0].key, n: step }), (got) => {
    const all = [...got.messages, ...window_.messages];
    return { messages: all.slice(0, most), earlier: got.earlier, later: window_.later || all.length > most };
  }, false);
}

function later() {
  if (!window_.later) return;
  return change(() => ({ from: window_.messages.at(-1).key, n: step + 1 }), (got) => {
    const all = [...window_.messages.slice(0, -1), ...got.messages];
    return { messages: all.slice(-most), earlier: window_.earlier || all.length > most, later: got.later };
  }, false);
}

const atEnd = () => !window_.later && scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;

function toEnd() {
  scroller.scrollTop = scroller.scrollHeight;
}

// keepPlace returns what makes the topmost bubble that is seen stay where it is.
function keepPlace() {
  const top = scroller.getBoundingClientRect().top;
  const held = [...byId("bubbles").children].find((b) => b.getBoundingClientRect().bottom > top);
  const at = held?.getBoundingClientRect().top;
  return () => {
    if (held?.isConnected) scroller.scrollTop += held.getBoundingClientRect().top - at;
  };
}

function draw(end) {
  const { info, messages } = window_;
  const back = keepPlace();
  if (info) head(info);
  byId("talk-empty").hidden = messages.length > 0;
  setText(byId("talk-empty"), info ? "No message yet." : "…");
  let before = null;
  const items = messages.map((m) => {
    const first = !before || day(before.time) !== day(m.time);
    const item = { ...m, own: m.from.id !== "" && m.from.id === as, day: first ? m.time : "", head: first || before.from.id !== m.from.id };
    before = m;
    return item;
  });
  for (const [i, item] of items.entries()) item.tail = !items[i + 1]?.day && items[i + 1]?.head === false ? "" : "tail";
  show(byId("bubbles"), items, (m) => m.id, bubble);
  byId("earlier").hidden = !window_.earlier;
  byId("later").hidden = !window_.later;
  if (end) toEnd();
  else back();
  floating();
  watch();
}

function head(info) {
  setText(byId("talk-title"), info.name || "Without a name");
  const chip = byId("talk-kind");
  chip.hidden = info.kind === "direct";
  setText(chip, info.kind);
  const line = info.people.map((p) => el("bdi", { class: p.known ? null : "mono", title: p.id }, p.name + (p.id === as ? " (right side)" : "")));
  const nodes = line.flatMap((n, i) => (i ? [", ", n] : [n]));
  if (info.moreThan) nodes.push(" and " + info.moreThan + " more");
  const people = byId("talk-people");
  const text = nodes.map((n) => n.textContent ?? n).join("");
  if (people.textContent !== text || !nodes.length) people.replaceChildren(...(nodes.length ? nodes : ["nobody takes part"]));
}

function bubble(m) {
  const who = m.from.name || "Nobody";
  const parts = [];
  if (m.kind === "text") parts.push(el("p", { class: "body", dir: "auto" }, m.text, m.cut > 0 && el("span", { class: "aside" }, " … " + m.cut + " more characters")));
  if (m.kind === "encrypted") parts.push(el("p", { class: "body aside" }, lock(), "Encrypted message"));
  if (m.kind === "deleted") parts.push(el("p", { class: "body aside" }, "Message deleted"));
  if (m.kind === "none" && !m.files.length) parts.push(el("p", { class: "body aside" }, "No text"));
  if (m.files.length) {
    parts.push(el("ul", { class: "files", "aria-label": "Files" }, ...m.files.map((f) => el("li", null, el("span", { "aria-hidden": "true" }, "▤ "), el("bdi", null, f)))));
  }
  return el("li", { class: [m.own ? "own" : "other", m.kind, m.head && "head", m.tail].filter(Boolean).join(" ") },
    m.day && el("p", { class: "day" }, el("span", null, dayName(m.day, window_.info.now))),
    el("div", { class: "bubble" },
      !m.own && avatar(who, m.from.id),
      el("div", { class: "card" },
        el("p", { class: m.head && !m.own ? "who" : "hidden" }, el("bdi", { class: m.from.known || !m.from.id ? null : "mono", title: m.from.id || null }, m.own ? "You, as " + who : who)),
        ...parts,
        el("p", { class: "meta" },
          m.edited && el("span", null, "edited"),
          m.own && m.kind !== "deleted" && m.readBy > 1 && el("span", { title: "by " + m.readBy + ", the sender included" }, "read"),
          el("time", { datetime: m.time, title: exact(m.time) }, minute(m.time))))));
}

const lock = () => el("span", { class: "lock", "aria-hidden": "true" });

// floating shows the way back to the end where it is out of sight.
function floating() {
  byId("newest").hidden = !window_.messages.length || atEnd();
}

export function start() {
  byId("earlier").addEventListener("click", () => quietly(earlier()));
  byId("later").addEventListener("click", () => quietly(later()));
  byId("newest").addEventListener("click", () => {
    turn++;
    quietly(change(() => ({ n: step }), (got) => got, true));
    scroller.focus({ preventScroll: true });
  });
  scroller.addEventListener("scroll", floating, { passive: true });
}

// What is about to come into sight is fetched before it does.
const near = new IntersectionObserver((entries) => {
  for (const e of entries) {
    if (e.isIntersecting && window_.messages.length) quietly(e.target.id === "earlier" ? earlier() : later());
  }
}, { root: scroller, rootMargin: "200px 0px" });

// watch also notices what has stayed in sight.
function watch() {
  near.disconnect();
  for (const name of ["earlier", "later"]) {
    if (!byId(name).hidden) near.observe(byId(name));
  }
}

// quietly: the next look says whether the server answers.
const quietly = (promise) => promise?.catch(() => {});
