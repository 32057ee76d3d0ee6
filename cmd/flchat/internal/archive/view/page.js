"use strict";
// Everything that others have written gets into the page as text, never as markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const el = (tag, className, text) => {
    const e = document.createElement(tag);
    if (className) e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const about = JSON.parse(byId("about").textContent);
  const zone = about.zone === "Local" ? undefined : about.zone;
  const clock = (options) => {
    try { return new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone }); } catch { return new Intl.DateTimeFormat(undefined, options); }
  };
  const hour = clock({ hour: "2-digit", minute: "2-digit" });
  const day = clock({ weekday: "long", year: "numeric", month: "long", day: "numeric" });
  const list = byId("list"), thread = byId("thread"), query = byId("query"), told = byId("told");

  // The parts of a conversation are read when it is looked at.
  const parts = new Map();
  for (const s of document.querySelectorAll("script[data-talk]")) {
    const id = s.dataset.talk;
    if (!parts.has(id)) parts.set(id, []);
    parts.get(id).push(s);
  }
  const messagesOf = (talk) => (parts.get(String(talk.id)) || []).flatMap((s) => JSON.parse(s.textContent));

  const picture = (hash, type) => {
    const s = document.querySelector(`script[data-file="${CSS.escape(hash)}"]`);
    if (!s) return null;
    const img = el("img");
    img.loading = "lazy";
    img.src = "data:" + s.dataset.type + ";base64," + s.textContent;
    return img;
  };

  const show = (m, found) => {
    const box = el("article", "message" + (m.x ? " deleted" : "") + (found ? " found" : ""));
    box.append(el("span", "from", about.people[m.p]), el("time", "", hour.format(m.t)));
    if (m.x) box.append(el("span", "soft", " deleted"));
    if (m.e) box.append(el("span", "soft", " edited"));
    box.append(el("div", "body", m.b));
    if (m.u) box.append(el("div", "soft", "not readable: " + m.u));
    for (const f of m.f || []) {
      const img = f.h && picture(f.h);
      if (img) {
        img.alt = f.n || "picture";
        box.append(img);
      } else {
        box.append(el("span", "file", "📎 " + (f.n || f.u) + (f.m ? " (missing: " + f.m + ")" : "")));
      }
    }
    if (m.e) {
      const was = el("details");
      was.append(el("summary", "", "Versions before"));
      for (const text of m.e) was.append(el("div", "body", text));
      box.append(was);
    }
    return box;
  };

  const page = 200;
  let opened = null;
  const open = (talk, around) => {
    opened = talk;
    for (const b of list.children) b.setAttribute("aria-current", String(b.dataset.id === String(talk.id)));
    const all = messagesOf(talk);
    const at = around === undefined ? all.length - 1 : all.findIndex((m) => m.i === around);
    let from = Math.max(0, at - page + (around === undefined ? 1 : 20));
    const to = around === undefined ? all.length : Math.min(all.length, at + page);
    const draw = (a, b) => {
      const f = document.createDocumentFragment();
      let before = a > 0 ? day.format(all[a - 1].t) : "";
      for (let i = a; i < b; i++) {
        const today = day.format(all[i].t);
        if (today !== before) f.append(el("div", "day", today));
        before = today;
        f.append(show(all[i], all[i].i === around));
      }
      return f;
    };
    const earlier = el("button", "more", "Earlier");
    earlier.addEventListener("click", () => {
      const next = Math.max(0, from - page), height = thread.scrollHeight;
      earlier.after(draw(next, from));
      from = next;
      earlier.hidden = from === 0;
      thread.scrollTop += thread.scrollHeight - height;
    });
    earlier.hidden = from === 0;
    thread.replaceChildren(el("h2", "", talk.name), earlier, draw(from, to));
    if (to < all.length) {
      const later = el("button", "more", "To the newest");
      later.addEventListener("click", () => open(talk));
      thread.append(later);
    }
    const mark = thread.querySelector(".found");
    if (mark) mark.scrollIntoView({ block: "center" }); else thread.scrollTop = thread.scrollHeight;
  };

  for (const talk of about.talks) {
    const b = el("button");
    b.dataset.id = talk.id;
    b.append(el("div", "", talk.name), el("div", "soft", talk.n + (talk.n === 1 ? " message" : " messages")));
    b.addEventListener("click", () => open(talk));
    list.append(b);
  }

  const most = 200;
  const search = () => {
    const words = query.value.trim().toLowerCase();
    if (!words) {
      told.textContent = "";
      if (opened) open(opened);
      return;
    }
    const hits = document.createDocumentFragment();
    let n = 0;
    for (const talk of about.talks) {
      for (const m of messagesOf(talk)) {
        if (!(m.b + "\n" + about.people[m.p]).toLowerCase().includes(words)) continue;
        if (++n > most) continue;
        const b = el("button", "hit");
        b.append(el("div", "soft", talk.name + " · " + day.format(m.t)), show(m));
        b.addEventListener("click", () => open(talk, m.i));
        hits.append(b, el("br"));
      }
    }
    told.textContent = n === 0 ? "Nothing was found." : n + (n === 1 ? " message" : " messages") + (n > most ? ", the first " + most + " are shown" : "");
    thread.replaceChildren(hits);
    thread.scrollTop = 0;
  };
  let waiting;
  query.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 250); });

  if (location.hash.startsWith("#q=")) { // a search can be linked to
    query.value = decodeURIComponent(location.hash.slice(3));
    search();
  } else if (about.talks.length) {
    open(about.talks[0]);
  }
})();
