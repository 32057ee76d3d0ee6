// The open conversation: bubbles, older ones on scrolling, read marks.
import { $, beside, blank, dayKey, dayName, el, face, firstName, icon, linked, menuKeys, onlyEmoji, paint, colorOf, personTitle, sure, timeOf, toast, wait } from "./util.js";

const page = 50;

// loadable is an address that a page may load or open; a row may hold another.
const loadable = (address) => { try { return address && /^https?:$/.test(new URL(address, location.href).protocol) ? address : null; } catch { return null; } };

export class TalkView {
  constructor(store, chat, outbox, compose) {
    Object.assign(this, { store, chat, outbox, compose, nodes: new Map(), atEnd: true, below: 0 });
    const scroll = $("scroll");
    scroll.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(scroll);
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe($("bubbles"));
    $("jump").addEventListener("click", () => { this.toEnd(true); $("text").focus({ preventScroll: true }); });
    document.addEventListener("visibilitychange", () => this.read());
    scroll.addEventListener("keydown", (e) => {
      const step = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[e.key];
      if (!step || !e.target.classList.contains("act")) return;
      const all = [...scroll.querySelectorAll(".act")];
      const next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(e.target) + step))];
      e.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    });
    $("bubbles").addEventListener("focusin", (e) => e.target.classList.contains("act") && this.stop(e.target));
    menuKeys($("actions"));
  }

  get talk() { return this.store.talks.get(this.store.open); }

  async show(id, messageID) {
    const changed = this.store.open !== id;
    this.store.open = id;
    const t = this.talk;
    if (!t) return;
    if (changed) {
      $("scroll").setAttribute("aria-live", "off"); // what was there is not news
      setTimeout(() => $("scroll").setAttribute("aria-live", "polite"), 1000);
      this.nodes.clear();
      $("bubbles").replaceChildren();
      this.atEnd = true;
      this.below = 0;
      this.newsAt = [...t.unread].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))[0]?.id;
      this.compose.opened(t);
    }
    this.draw();
    if (!messageID) this.toEnd();
    if (t.more && t.messages.length < page) await this.older();
    if (messageID) this.find(messageID);
    else if (changed) this.toEnd();
    this.read();
  }

  head() {
    const t = this.talk, { store } = this;
    for (const id of ["talk-head", "scroll", "composer"]) $(id).hidden = !t;
    if (!t) { $("jump").hidden = true; return; }
    const name = store.title(t), direct = store.isDirect(t), c = t.conversation, n = store.members(t).length;
    $("talk").setAttribute("aria-label", "Conversation: " + name);
    $("talk-name").textContent = name;
    const firsts = store.members(t).map((id) => (id === store.me ? "you" : firstName(store.person(id))));
    const contact = store.people.get(store.others(t)[0]);
    $("talk-who").textContent = direct ? personTitle(contact) : c.isChannel ? `channel · ${n} ${n === 1 ? "member" : "members"}` : firsts.join(", ");
    paint($("talk-face"), c.isChannel ? "#" : name, direct ? store.others(t)[0] || name : "c" + t.id, !direct);
    const muted = Boolean(c.isMuted);
    if ($("mute").getAttribute("aria-pressed") !== String(muted) || !this.muteShown) {
      this.muteShown = true;
      $("mute").setAttribute("aria-pressed", String(muted));
      $("mute").title = muted ? "Muted" : "Mute";
      $("mute").replaceChildren(icon(muted ? "mute" : "bell"));
    }
  }

  // draw brings the bubbles up to date; those that have not changed are left alone.
  draw() {
    this.head();
    const t = this.talk;
    if (!t) return;
    const items = this.items(t), list = $("bubbles"), keys = new Set();
    const ownNew = items.at(-1)?.own && !this.nodes.has(items.at(-1).key);
    items.forEach((item, i) => {
      keys.add(item.key);
      const had = this.nodes.get(item.key);
      let node = had && had.node;
      if (!had || had.mark !== item.mark) {
        const focus = node && node.contains(document.activeElement) && (document.activeElement.closest(".pictures") ? ".pictures button" : ".act");
        const next = this.made(item);
        if (!had && this.nodes.size && i > items.length - 4) next.classList.add("fresh");
        if (node) node.replaceWith(next);
        node = next;
        this.nodes.set(item.key, { node, mark: item.mark });
        if (focus) node.querySelector(focus)?.focus({ preventScroll: true });
      }
      if (item.progress !== undefined) node.querySelector(".progress i")?.style.setProperty("width", item.progress + "%");
      if (list.children[i] !== node) list.insertBefore(node, list.children[i] || null);
    });
    for (const [key, { node }] of this.nodes) if (!keys.has(key)) { node.remove(); this.nodes.delete(key); }
    if (!list.contains(document.activeElement) || !this.tabbed?.isConnected) this.stop([...list.children].findLast((li) => li.querySelector(".act"))?.querySelector(".act"));
    if (this.atEnd || ownNew) this.toEnd();
    this.jump();
  }
  // stop makes one message the one that Tab reaches; arrows lead to the others.
  stop(act) {
    if (this.tabbed === act) return;
    if (this.tabbed) this.tabbed.tabIndex = -1;
    if (act) act.tabIndex = 0;
    this.tabbed = act;
  }

  // made draws one item. One that cannot be drawn must not keep the others from it.
  made(item) {
    try { return item.make(); } catch (error) {
      console.error("a message cannot be drawn", error);
      return el("li", { class: "note" }, "This message cannot be shown.");
    }
  }

  items(t) {
    const { store } = this, items = [], direct = store.isDirect(t);
    const all = [...t.messages, ...t.waiting.filter((w) => !t.byGUID.has(w.guid + " " + store.me))];
    let day = "";
    if (!t.more && t.messages.length) items.push({ key: "begin", mark: "", make: () => el("li", { class: "note" }, "This is where it begins.") });
    all.forEach((m, i) => {
      const waiting = !m.data, at = waiting ? m.at : m.createdAt, from = waiting ? store.me : m.data.fromUserId;
      if (dayKey(at) !== day) {
        day = dayKey(at);
        items.push({ key: "day" + day, mark: dayName(at), make: () => el("li", { class: "day" }, dayName(at)) });
      }
      if (!waiting && m.id === this.newsAt) items.push({ key: "news", mark: "", make: () => el("li", { class: "news" }, "New messages") });
      const near = (o) => o && (o.data ? o.data.fromUserId : store.me) === from && Math.abs(new Date(o.data ? o.createdAt : o.at) - new Date(at)) < 3e5 && dayKey(o.data ? o.createdAt : o.at) === day;
      const shape = { own: from === store.me, direct, first: !near(all[i - 1]) || m.id === this.newsAt, last: !near(all[i + 1]), waiting };
      const key = m.data && !m.data.guid ? "m" + m.id : "g" + (waiting ? m.guid : m.data.guid) + (waiting ? store.me : from) + (m.copy || "");
      items.push({
        key, own: shape.own, make: () => this.bubble(t, m, from, at, shape), progress: waiting ? Math.round(m.progress * 100) : undefined,
        mark: JSON.stringify([shape, waiting ? [m.failed, m.late] : [m.id, m.updatedAt, m.isDeleted, m.data.body, this.seen(t, m)], store.person(from)]),
      });
    });
    return items;
  }

  // seen says who of the others has read an own message.
  seen(t, m) {
    if (m.data.fromUserId !== this.store.me) return "";
    const others = this.store.others(t), by = others.filter((id) => m.data.readBy.includes(id));
    if (!by.length) return "sent";
    return by.length === others.length ? (others.length > 1 ? "read by all" : "read") : `read by ${by.length} of ${others.length}`;
  }

  bubble(t, m, from, at, shape) {
    const { store } = this, data = m.data || {}, body = m.data ? data.body : m.body, name = store.person(from);
    const classes = ["said", shape.own && "own", shape.direct && "direct", shape.first && "first", shape.last && "last", m.isDeleted && "deleted", shape.waiting && "waiting", m.failed && "failed"];
    const files = m.isDeleted ? [] : this.files(m, shape.waiting);
    const big = !m.isDeleted && !files.length && onlyEmoji(body);
    const meta = el("span", { class: "meta" }, data.isEdited && !m.isDeleted ? "edited" : null, el("time", { datetime: at }, timeOf(at)));
    if (shape.own && !m.isDeleted) {
      const seen = shape.waiting ? "" : this.seen(t, m);
      if (shape.waiting) meta.append(m.failed ? "not sent" : icon("clock", m.late ? "waiting for the network" : "sending"));
      else {
        if (seen.startsWith("read by") && seen !== "read by all") meta.prepend(seen + " ·");
        const mark = icon(seen === "sent" ? "sent" : "read", seen);
        mark.classList.toggle("seen", seen !== "sent");
        meta.append(mark);
      }
    }
    const act = el("button", { type: "button", class: "act", tabindex: -1, "aria-haspopup": "menu", "aria-label": `Actions for “${(body || "picture").slice(0, 40)}”`, onclick: (e) => this.actions(t, m, e.currentTarget) }, icon("more"));
    return el("li", { class: classes.filter(Boolean).join(" "), id: m.id ? "m" + m.id : null, "data-guid": m.data ? data.guid : m.guid },
      shape.own ? null : face(name, from),
      el("div", { class: "bubble" + (big ? " big" : "") },
        el("span", { class: "hidden" }, shape.own ? "You: " : shape.direct ? name + ": " : ""),
        !shape.own && !shape.direct && shape.first ? el("span", { class: "who", style: { "--who": `light-dark(${colorOf(from)}, color-mix(in oklab, ${colorOf(from)} 58%, #fff))` } }, name) : null,
        files, m.isDeleted ? "Message deleted" : m.error ? "This message cannot be read." : !blank(body) ? linked(body) : files.length ? null : el("em", {}, "Empty message"),
        shape.waiting && m.files.length && !m.failed ? el("div", { class: "progress", role: "progressbar", "aria-label": "Upload" }, el("i")) : null,
        meta, m.isDeleted ? null : act));
  }

  files(m, waiting) {
    const list = waiting ? m.files.map((f) => ({ url: f.preview, name: f.name, picture: f.type.startsWith("image/") }))
      : m.data.file.map((url, i) => ({ ...m.data.fileInfo[i], url: loadable(url), picture: (m.data.fileInfo[i]?.type || "image/").startsWith("image/") }));
    const pictures = list.filter((f) => f.picture), others = list.filter((f) => !f.picture);
    const chip = (f) => el("a", { class: "file", href: f.url, target: "_blank", rel: "noopener", download: f.name || true }, icon("file"), f.name || "Attachment");
    return [
      pictures.length ? el("div", { class: "pictures" }, pictures.map((f) => {
        const img = el("img", { src: f.url, alt: f.name || "picture", decoding: "async", width: f.width || null, height: f.height || null });
        const button = el("button", { type: "button", "aria-label": "Show " + (f.name || "the picture"), onclick: () => this.enlarge(f, m.data?.guid || m.guid) }, img);
        img.addEventListener("error", () => !waiting && button.replaceWith(chip(f)), { once: true });
        img.addEventListener("load", () => this.atEnd && this.toEnd(), { once: true });
        return button;
      })) : null,
      ...others.map(chip),
    ].filter(Boolean);
  }
  enlarge(f, guid) {
    $("viewer").onclose = () => this.said(guid)?.querySelector(".pictures button")?.focus({ preventScroll: true });
    $("viewer-image").src = f.url;
    $("viewer-image").alt = f.name || "picture";
    $("viewer").showModal();
  }

  // said is the bubble of a message, which may have been drawn anew.
  said(guid) { return [...$("bubbles").querySelectorAll(".said")].find((node) => node.dataset.guid === guid); }

  // refocus gives the keyboard back to the button of a message, which may have been drawn anew.
  refocus(m, button) {
    (button.isConnected ? button : this.said(m.data ? m.data.guid : m.guid)?.querySelector(".act"))?.focus({ preventScroll: true });
  }

  actions(t, m, button) {
    const menu = $("actions"), own = !m.data || m.data.fromUserId === this.store.me;
    const add = (label, fn, bad) => menu.append(el("button", { type: "button", role: "menuitem", class: bad ? "bad" : null, onclick: () => { menu.hidePopover(); fn(); } }, label));
    menu.replaceChildren();
    if (!m.data) {
      if (m.failed) add("Try again", () => this.outbox.retry(t, m));
      add("Do not send", () => this.outbox.discard(t, m), true);
    } else {
      if (m.data.body) add("Copy", () => navigator.clipboard?.writeText(m.data.body).then(() => toast("Copied"), () => toast("The browser does not allow it.")));
      if (own && m.data.body) add("Edit", () => this.compose.edit(t, m));
      if (own) add("Delete for everybody", () => this.remove(t, m, button), true);
    }
    button.setAttribute("aria-expanded", "true");
    menu.addEventListener("toggle", (e) => {
      if (e.newState !== "closed") return;
      button.setAttribute("aria-expanded", "false");
      if (!document.activeElement || document.activeElement === document.body) this.refocus(m, button);
    }, { once: false, signal: AbortSignal.timeout(60000) });
    menu.showPopover();
    beside(menu, button);
    menu.querySelector("button")?.focus();
  }

  async remove(t, m, button) {
    if (!await sure("Delete this message for everybody? It cannot be brought back.", "Delete")) return this.refocus(m, button);
    try {
      await persist(() => this.chat.deleteMessage(t.id, m.id), [404]);
      m.isDeleted = true;
      m.updatedAt = new Date(Math.max(Date.now(), new Date(m.updatedAt))).toISOString();
      t.unread.delete(m);
      this.store.touch("talk");
      this.store.touch("list");
    } catch (error) { toast("Not deleted: " + error.message); }
  }

  // older loads what came before.
  async older() {
    const t = this.talk;
    if (!t || t.loading || !t.more) return;
    t.loading = true;
    $("older").hidden = false;
    try {
      const oldest = t.messages[0], query = { limit: page };
      if (oldest) query.before = { id: oldest.id, dataSourceId: t.id, createdAt: oldest.createdAt, updatedAt: oldest.updatedAt, data: {} };
      const list = await persist(() => t.conversation.messages.history(query));
      const scroll = $("scroll"), below = scroll.scrollHeight - scroll.scrollTop;
      for (const m of list) if (t.add(m, this.store.me) === "new") this.history?.(m);
      if (list.length < page) t.more = false;
      if (this.talk === t) {
        this.draw();
        if (!this.atEnd) scroll.scrollTop = scroll.scrollHeight - below;
      }
      this.store.touch("list");
    } catch (error) { toast("Older messages could not be loaded: " + error.message); await wait(1500); }
    t.loading = false;
    $("older").hidden = true;
  }

  scrolled() {
    const s = $("scroll"), size = s.scrollHeight + "/" + s.clientHeight;
    // What scrolls because the window or a picture has another size was no choice of the user's.
    if (this.atEnd && size !== this.size && this.talk?.messages.length) return this.toEnd();
    this.size = size;
    this.atEnd = s.scrollHeight - s.scrollTop - s.clientHeight < 48;
    if (this.atEnd) { this.below = 0; this.read(); }
    if (s.scrollTop < 240) this.older();
    this.jump();
  }
  toEnd(smooth) {
    const s = $("scroll");
    s.scrollTo({ top: s.scrollHeight, behavior: smooth ? "smooth" : "instant" });
    this.size = s.scrollHeight + "/" + s.clientHeight;
    this.atEnd = true;
  }
  jump() {
    $("jump").hidden = this.atEnd || !this.talk;
    $("jump-text").textContent = this.below ? `${this.below} new` : "Newest";
  }
  arrived(t) {
    if (t === this.talk && !this.atEnd) { this.below++; this.jump(); }
  }
  find(id) {
    const node = $("m" + id);
    if (!node) return;
    this.atEnd = false;
    node.scrollIntoView({ block: "center" });
    node.classList.remove("found");
    void node.offsetWidth; // begins the animation again
    node.classList.add("found");
    node.querySelector(".act")?.focus({ preventScroll: true });
  }

  // read marks what is on the screen, a little later and all at once.
  read() {
    const seen = () => {
      const t = this.talk;
      return t && t.unread.size && document.visibilityState === "visible" && this.atEnd && getComputedStyle($("talk")).display !== "none" ? t : null;
    };
    if (this.marking || !seen()) return;
    this.marking = setTimeout(async () => {
      const t = seen(); // the user may be elsewhere by now
      let again = false;
      if (t) {
        const list = [...t.unread].slice(0, 200);
        try {
          await this.chat.markMessagesAsRead(list);
          for (const m of list) {
            m.isReadByCurrentUser = true;
            m.data.readBy = [...new Set([...m.data.readBy, this.store.me])];
            t.unread.delete(m);
          }
          this.store.touch("list");
        } catch { again = true; }
      }
      if (again) await wait(1500);
      this.marking = 0;
      this.read();
    }, 250);
  }
}

// persist repeats a call that can be repeated, while the server cannot be reached.
export async function persist(call, fine = []) {
  for (let n = 0, pause = 300; ; n++, pause = Math.min(pause * 1.7, 4000)) {
    try { return await call(); } catch (error) {
      const status = error.status || error.code || 0;
      if (n && fine.includes(status)) return null; // an earlier attempt has done it
      if ((status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status)) || n > 11) throw error;
      await wait(pause);
    }
  }
}
