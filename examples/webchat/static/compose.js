// The box in which a message is written: text, files, emoji, edits.
import { $, beside, blank, el, icon, toast } from "./util.js";
import { groups } from "./emoji.js";
import { persist } from "./talk.js";

const largest = 20 << 20;

export class Compose {
  constructor(store, chat, outbox) {
    Object.assign(this, { store, chat, outbox });
    const text = $("text");
    $("composer").addEventListener("submit", (e) => { e.preventDefault(); this.send(); });
    text.addEventListener("keydown", (e) => {
      this.shift = e.shiftKey;
      if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); this.send(); }
      else if (e.key === "Escape" && this.editing) { e.stopPropagation(); this.stop(); }
      else if (e.key === "ArrowUp" && !text.value && !this.editing) {
        const t = this.talk, mine = t && t.messages.findLast((m) => m.data.fromUserId === store.me && !m.isDeleted && m.data.body);
        if (mine) { e.preventDefault(); this.edit(t, mine); }
      }
    });
    for (const kind of ["keydown", "keyup"]) addEventListener(kind, (e) => { if (e.key === "Enter") this.entered = kind === "keydown"; }, true);
    text.addEventListener("beforeinput", (e) => { // keyboards of phones tell no keys
      if (e.inputType !== "insertLineBreak" || this.shift) return;
      e.preventDefault();
      if (!this.entered) this.send();
    });
    text.addEventListener("input", () => { const t = this.talk; if (t) (t.edit ? (t.edit.text = text.value) : (t.draft = text.value)); this.fit(); });
    text.addEventListener("paste", (e) => { if (e.clipboardData.files.length) { e.preventDefault(); this.attach([...e.clipboardData.files]); } });
    $("attach").addEventListener("click", () => $("files").click());
    $("files").addEventListener("change", (e) => { this.attach([...e.target.files]); e.target.value = ""; });
    $("edit-stop").addEventListener("click", () => this.stop());
    this.drops();
    this.emoji();
  }

  get talk() { return this.store.talks.get(this.store.open); }
  get editing() { return this.talk && this.talk.edit; }

  // opened shows what is half done in a conversation: nobody loses it by looking elsewhere.
  opened(t) {
    this.tray();
    this.show(t);
    $("text").placeholder = innerWidth < 400 ? "Message" : "Message " + (t.conversation.isChannel ? "#" : "") + this.store.title(t);
  }
  show(t) {
    $("editing").hidden = !t.edit;
    $("text").value = t.edit ? t.edit.text : t.draft;
    this.fit();
  }
  fit() { // where field-sizing is not known
    const text = $("text");
    if (CSS.supports("field-sizing", "content")) return;
    text.style.height = "auto";
    text.style.height = Math.min(text.scrollHeight + 2, 144) + "px";
  }

  send() {
    const t = this.talk, text = $("text").value.trim();
    if (!t) return;
    if (t.edit) return this.save(t, text);
    if (blank(text) && !t.files.length) return;
    this.outbox.add(t, text, t.files);
    t.files = [];
    t.draft = "";
    this.tray();
    this.show(t);
    $("text").focus();
  }

  edit(t, m) {
    t.edit = { message: m, text: m.data.body };
    this.show(t);
    $("text").focus();
  }
  stop() {
    const t = this.talk;
    if (!t || !t.edit) return;
    t.edit = null;
    this.show(t);
    $("text").focus();
  }
  async save(t, text) {
    const m = t.edit.message, before = m.data.body;
    if (blank(text)) return toast("An empty message cannot be kept. Delete it instead.");
    this.stop();
    if (text === before) return;
    const was = m.data.isEdited;
    Object.assign(m.data, { body: text, isEdited: true });
    this.store.touch("talk");
    this.store.touch("list");
    try {
      const stored = await persist(() => this.chat.updateMessage(t.id, m.id, { body: text, isEdited: true }));
      if (stored && stored.updatedAt > m.updatedAt) m.updatedAt = stored.updatedAt;
    } catch (error) {
      Object.assign(m.data, { body: before, isEdited: was });
      this.store.touch("talk");
      this.store.touch("list");
      toast("Not changed: " + error.message);
      if (!t.edit) t.edit = { message: m, text }; // to try again, or to take it along
      if (t === this.talk) this.show(t);
    }
  }

  attach(list) { // an array: a list of the browser changes under the hand
    const t = this.talk;
    if (!t) return;
    for (const file of list) {
      if (file.size > largest) { toast(`${file.name} is larger than 20 MB.`); continue; }
      if (t.files.length >= 10) { toast("Ten files at most."); break; }
      if (file.type.startsWith("image/")) {
        file.preview = URL.createObjectURL(file);
        // Who sends it waits for its size; the user does not.
        file.ready = createImageBitmap(file).then((b) => { [file.width, file.height] = [b.width, b.height]; b.close(); }, () => {});
      }
      t.files.push(file);
    }
    this.tray();
    $("text").focus();
  }
  tray() {
    const tray = $("tray"), t = this.talk;
    if (!t) return;
    tray.hidden = !t.files.length;
    tray.replaceChildren(...t.files.map((f) => el("li", { class: f.preview ? null : "file" },
      f.preview ? el("img", { src: f.preview, alt: f.name }) : [icon("file"), f.name],
      el("button", { type: "button", class: "round", "aria-label": "Remove " + f.name, onclick: () => {
        t.files = t.files.filter((o) => o !== f);
        this.tray();
        $("text").focus();
      } }, icon("close")))));
  }

  drops() {
    let depth = 0;
    const has = (e) => [...(e.dataTransfer?.types || [])].includes("Files") && this.talk;
    const area = $("talk");
    area.addEventListener("dragenter", (e) => { if (has(e)) { depth++; $("drop").hidden = false; } });
    area.addEventListener("dragleave", (e) => { if (has(e) && --depth <= 0) { depth = 0; $("drop").hidden = true; } });
    addEventListener("dragover", (e) => e.preventDefault()); // a file beside the area must not replace the page
    addEventListener("drop", (e) => {
      e.preventDefault();
      depth = 0;
      $("drop").hidden = true;
      if (has(e) && area.contains(e.target)) this.attach([...e.dataTransfer.files]);
    });
  }

  emoji() {
    const box = $("emoji-box"), list = $("emoji-list"), find = $("emoji-find"), text = $("text");
    const draw = () => {
      const wanted = find.value.trim().toLowerCase();
      const found = groups.flatMap(([title, items]) => {
        const hits = items.filter(([, name]) => name.includes(wanted));
        return hits.length ? [el("h3", {}, title), el("div", {}, hits.map(([sign, name]) =>
          el("button", { type: "button", tabindex: -1, "aria-label": name, title: name, onclick: () => put(sign) }, sign)))] : [];
      });
      list.replaceChildren(...found.length ? found : [el("p", { class: "empty" }, `No emoji is called “${wanted}”.`)]);
      list.querySelector("button")?.setAttribute("tabindex", "0"); // arrows lead to the others
    };
    const put = (sign) => {
      text.setRangeText(sign, text.selectionStart, text.selectionEnd, "end");
      text.dispatchEvent(new Event("input"));
      box.hidePopover();
      text.focus();
    };
    box.addEventListener("toggle", (e) => {
      if (e.newState !== "open") return;
      find.value = "";
      draw();
      beside(box, $("emoji"));
      find.focus();
    });
    find.addEventListener("input", draw);
    find.addEventListener("keydown", (e) => {
      if (e.key === "Enter") { e.preventDefault(); list.querySelector("button")?.click(); }
      if (e.key === "ArrowDown") { e.preventDefault(); list.querySelector("button")?.focus(); }
    });
    list.addEventListener("keydown", (e) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }[e.key];
      if (!step) return;
      e.preventDefault();
      const all = [...list.querySelectorAll("button")];
      const at = all.indexOf(document.activeElement) + step;
      (at < 0 ? find : all[at])?.focus();
    });
  }
}
