// The list of conversations, and what a search finds in what is loaded.
import { $, blank, el, face, firstName, icon, marked, shortTime } from "./util.js";

export const preview = (store, m) => {
  if (m.isDeleted) return "Message deleted";
  const body = m.data.body.replace(/\s+/g, " ");
  if (!blank(body)) return body;
  return m.data.file.length ? "📷 " + (m.data.fileInfo?.[0]?.name || "Attachment") : "Empty message";
};

export class List {
  constructor(store, open) {
    this.store = store;
    this.open = open;
    this.rows = new Map();
    $("search").addEventListener("input", () => this.draw());
    $("search").addEventListener("keydown", (e) => {
      if (e.key === "Escape" && $("search").value) { $("search").value = ""; this.draw(); e.stopPropagation(); }
    });
    $("lists").addEventListener("keydown", (e) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
      if (!step) return;
      const all = [...$("lists").querySelectorAll("button")];
      const next = all[all.indexOf(document.activeElement) + step];
      e.preventDefault();
      next ? next.focus() : step < 0 && $("search").focus();
    });
    $("search").addEventListener("keydown", (e) => {
      if (e.key === "ArrowDown") { e.preventDefault(); $("lists").querySelector("button")?.focus(); }
    });
  }

  draw() {
    const { store } = this;
    const query = $("search").value.trim();
    const wanted = query.toLowerCase();
    const talks = store.sorted().filter((t) => !wanted || store.title(t).toLowerCase().includes(wanted));
    let unread = 0;
    for (const t of store.talks.values()) if (!t.conversation.isMuted) unread += t.unread.size;
    document.title = (unread ? `(${unread}) ` : "") + store.person(store.me) + " · Chat";
    parent !== window && parent.postMessage({ kind: "unread", unread }, location.origin);

    const list = $("list");
    talks.forEach((t, i) => {
      let row = this.rows.get(t.id);
      if (!row) this.rows.set(t.id, (row = { item: el("li"), key: "" }));
      try { this.fill(row, t, query); } catch (error) { console.error("a conversation cannot be listed", error); } // the others can
      if (list.children[i] !== row.item) list.insertBefore(row.item, list.children[i] || null);
    });
    while (list.children.length > talks.length) list.lastChild.remove();
    this.drawHits(query, talks.length);
  }

  fill(row, t, query) {
    const { store } = this;
    const name = store.title(t), last = t.waiting.at(-1) || t.last, muted = t.conversation.isMuted;
    const own = last && (!last.data || last.data.fromUserId === store.me);
    const who = !last ? "" : own ? "You: " : store.isDirect(t) ? "" : firstName(store.person(last.data.fromUserId)) + ": ";
    const text = !last ? (t.conversation.isChannel ? "Channel" : "No messages yet") : who + preview(store, last.data ? last : { data: { body: last.body, file: last.files } });
    const time = t.latest ? shortTime(t.latest) : "";
    const n = t.unread.size, current = store.open === t.id;
    const key = JSON.stringify([name, text, time, n, muted, current, query]);
    if (row.key === key) return;
    row.key = key;
    const direct = store.isDirect(t);
    if (!row.button) { // it stays: a click that has begun must not lose it
      row.button = el("button", { type: "button", "data-talk": t.id, onclick: () => this.open(t.id) });
      row.item.append(row.button);
    }
    if (current) row.button.setAttribute("aria-current", "true");
    else row.button.removeAttribute("aria-current");
    row.button.classList.toggle("unread", n > 0);
    row.button.replaceChildren(
      face(t.conversation.isChannel ? "#" : name, direct ? store.others(t)[0] || name : "c" + t.id, !direct),
      el("span", { class: "line" }, el("span", { class: "name" }, ...marked(name, query), muted ? icon("mute", "muted") : null), el("time", {}, time)),
      el("span", { class: "line" }, el("span", { class: "last" }, text),
        n ? el("span", { class: "badge" + (muted ? " muted" : "") }, String(n > 99 ? "99+" : n), el("span", { class: "hidden" }, " unread")) : null));
  }

  drawHits(query, found) {
    const { store } = this;
    const hits = [];
    if (query.length > 1) {
      for (const t of store.talks.values()) for (const m of t.messages) {
        if (!m.isDeleted && m.data.body.toLowerCase().includes(query.toLowerCase())) hits.push([t, m]);
      }
      hits.sort(([, a], [, b]) => (a.createdAt < b.createdAt ? 1 : -1));
    }
    $("hits").hidden = $("hits-title").hidden = !hits.length;
    $("hits-title").textContent = hits.length > 30 ? "Messages, the newest 30" : hits.length === 1 ? "1 message" : hits.length + " messages";
    $("hits").replaceChildren(...hits.slice(0, 30).map(([t, m]) => el("li", {},
      el("button", { type: "button", onclick: () => this.open(t.id, m.id) },
        el("strong", {}, store.title(t)), el("time", {}, shortTime(m.createdAt)),
        el("span", { class: "body" }, firstName(store.name(m.data.fromUserId)) + ": ", ...marked(m.data.body, query))))));
    $("nothing").hidden = Boolean(found || hits.length);
    $("nothing").textContent = query ? `Nothing loaded has “${query}” in it.` : "No conversations yet. Begin one with the plus.";
  }
}
