// The list of conversations, the table of data sources, and the lists of what happens.

import { byId, el, exact, hue, initials, second, setText, show, when } from "./page_dom.js";

// preview is a message in a few words.
export function preview(m) {
  if (m.kind === "deleted") return "Message deleted";
  if (m.kind === "encrypted") return "Encrypted message";
  const files = m.files.length === 1 ? m.files[0] : m.files.length + " files";
  return m.kind === "text" ? m.text.trim() : m.files.length ? files : "No text";
}

export function avatar(name, id, kind) {
  return el("span", { class: "avatar " + hue(id) + " " + (kind ?? ""), "aria-hidden": "true" }, kind === "channel" ? "#" : initials(name));
}

export function conversations(stored, now, open, choose) {
  const list = byId("list");
  const items = stored.conversations.map((c) => ({ ...c, open: c.id === open, today: now.slice(0, 10), as: stored.as.id }));
  show(list, items, (c) => c.id, (c) => item(c, now, choose));
  const buttons = [...list.querySelectorAll("button")];
  const stop = buttons.find((b) => b === document.activeElement) ?? buttons.find((b) => b.hasAttribute("aria-current")) ?? buttons[0];
  for (const b of buttons) b.setAttribute("tabindex", b === stop ? "0" : "-1");
  const all = stored.found === stored.total ? String(stored.total) : stored.found + " of " + stored.total;
  setText(byId("conversations-count"), stored.total ? all : "");
  const empty = byId("list-empty");
  empty.hidden = stored.found > 0;
  setText(empty, stored.total ? "No name matches." : "None yet. Create one with package chat, or start with -seed-demo.");
  const more = byId("list-more");
  more.hidden = stored.found <= stored.conversations.length;
  setText(more, "Show more of " + stored.found);
}

function item(c, now, choose) {
  const last = c.last;
  const mine = last && last.from.id && last.from.id === c.as;
  const unread = c.unread + (c.counted ? "" : "+");
  const node = el("li", null,
    el("button", { type: "button", tabindex: c.open ? "0" : "-1", "aria-current": c.open ? "true" : null, "data-id": c.id },
      avatar(c.name, String(c.id), c.kind),
      el("span", { class: "line" },
        el("bdi", { class: "name" }, c.name || "Without a name"),
        c.kind !== "direct" && el("span", { class: "chip" }, c.kind),
        el("time", { class: "soft", datetime: c.last?.time ?? c.updated, title: exact(c.last?.time ?? c.updated) }, when(c.last?.time ?? c.updated, now))),
      el("span", { class: "line" },
        el("span", { class: "preview soft" + (last?.kind === "text" ? "" : " aside") },
          last ? (last.from.id ? el("bdi", null, mine ? "You" : last.from.name) : "") : "No message yet",
          last && last.from.id ? ": " : "",
          last ? el("bdi", null, preview(last)) : ""),
        c.unread > 0 && el("span", { class: "badge" }, unread, el("span", { class: "hidden" }, " unread")))));
  node.firstChild.addEventListener("click", () => choose(c.id));
  return node;
}

// arrows lets the arrow keys, Home and End move through the buttons of a list, of which
// one is in the tab order.
export function arrows(list, selector, follow) {
  list.addEventListener("focusin", (e) => {
    const button = e.target.closest(selector);
    if (!button) return;
    for (const other of list.querySelectorAll(selector)) other.setAttribute("tabindex", other === button ? "0" : "-1");
  });
  list.addEventListener("keydown", (e) => {
    const all = [...list.querySelectorAll(selector)].filter((b) => !b.hidden);
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[e.key];
    if (at < 0 || to === undefined || e.ctrlKey || e.altKey || e.metaKey) return;
    e.preventDefault();
    const next = all[Math.min(Math.max(to, 0), all.length - 1)];
    next.focus();
    follow?.(next);
  });
}

export function sources(stored) {
  show(byId("rows"), stored.sources, (s) => s.id, (s) => el("tr", null,
    cell("Id", "id mono soft", String(s.id)),
    cell("Name", "name", el("bdi", null, s.name), s.trashed && el("span", { class: "chip" }, "in the trash")),
    cell("Type", "type soft", s.type || "–"),
    cell("Entries", "number", String(s.live)),
    cell("Deleted", "number soft", String(s.deleted)),
    cell("Columns", "columns soft", el("bdi", null, s.columns || "–")),
    cell("Last write", "time soft", el("time", { datetime: s.updated, title: exact(s.updated) }, s.updated.slice(0, 10) + " " + second(s.updated)))));
  const left = stored.sourcesTotal - stored.sources.length;
  setText(byId("sources-count"), stored.sourcesTotal ? stored.sourcesTotal + (left > 0 ? ", the " + left + " least recent are left out" : "") : "");
  byId("sources-empty").hidden = stored.sourcesTotal > 0;
}

function cell(label, names, ...children) {
  return el("td", { class: names, "data-label": label }, ...children);
}

// traffic shows what happens, the newest first. Names are those of data sources by id.
export function traffic(t, names) {
  show(byId("requests"), t.requests.map((r, i) => ({ ...r, n: t.seen - i })), (r) => r.n, (r) => el("li", null,
    el("time", { class: "soft", datetime: r.time, title: exact(r.time) }, second(r.time)),
    el("strong", { class: "status " + r.class }, r.status ? String(r.status) : "…"),
    el("span", { class: "what mono" }, r.method, " ", el("bdi", null, r.target)),
    el("span", { class: "soft size" }, r.bytes ? size(r.bytes) : "")));
  count("requests", t.seen);
  show(byId("hooks"), t.hooks.map((h, i) => ({ ...h, n: t.ran - i, name: names.get(h.source) ?? "" })), (h) => h.n, (h) => el("li", null,
    el("time", { class: "soft", datetime: h.time, title: exact(h.time) }, second(h.time)),
    el("strong", { class: "status " + h.class }, h.result),
    el("span", { class: "what" }, el("bdi", null, h.type || "hook"), " on " + h.runOn, h.to && el("span", { class: "mono" }, " → " + h.to),
      el("small", { class: "soft" }, h.name && el("bdi", null, h.name), " entry " + h.entry),
      h.error && el("small", { class: "failed" }, el("bdi", null, h.error)))));
  count("hooks", t.ran);
  show(byId("log"), t.log.map((e) => ({ ...e, name: names.get(e.source) ?? "" })), (e) => e.id, (e) => el("li", null,
    el("time", { class: "soft", datetime: e.time, title: exact(e.time) }, second(e.time)),
    el("span", { class: "what" }, el("span", { class: "mono" }, e.type),
      el("small", { class: "soft" }, e.name && el("bdi", null, e.name), e.entry ? " entry " + e.entry : "", e.columns && [": ", el("bdi", null, e.columns)]))));
  count("log", t.log[0]?.id ?? 0);
}

function count(name, n) {
  setText(byId(name + "-count"), String(n));
  byId(name + "-empty").hidden = n > 0;
}

const size = (bytes) => (bytes < 1024 ? bytes + " B" : bytes < 1 << 20 ? (bytes / 1024).toFixed(1) + " KiB" : (bytes / (1 << 20)).toFixed(1) + " MiB");
