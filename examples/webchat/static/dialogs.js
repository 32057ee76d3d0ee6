// New conversations, channels, invitations, members.
import { $, asList, asRecord, asText, beside, el, face, firstName, menuKeys, personName, personTitle, sure, toast } from "./util.js";
import { persist } from "./talk.js";

export class Dialogs {
  constructor(store, chat, open, refresh) {
    Object.assign(this, { store, chat, open, refresh });
    const menu = $("new-menu");
    menuKeys(menu);
    menu.addEventListener("toggle", (e) => { if (e.newState === "open") { beside(menu, $("new")); menu.querySelector("button").focus(); } });
    menu.addEventListener("click", (e) => {
      const name = e.target.closest("button")?.dataset.open;
      if (!name) return;
      menu.hidePopover();
      this["show_" + name]();
    });
    for (const dialog of document.querySelectorAll("dialog")) {
      dialog.addEventListener("click", (e) => { if (e.target === dialog || e.target.closest("[data-close]")) dialog.close(); });
    }
    $("people").addEventListener("close", () => $("people").returnValue === "go" && this.create());
    $("join").addEventListener("close", () => $("join").returnValue === "go" && this.join());
    $("channel-go").addEventListener("click", () => this.createChannel());
    $("channel-name").addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); this.createChannel(); } });
    $("info").addEventListener("click", () => this.details());
    $("mute").addEventListener("click", () => this.mute());
    $("leave").addEventListener("click", () => this.leave());
    $("add-go").addEventListener("click", () => this.add());
    $("code-copy").addEventListener("click", () => navigator.clipboard?.writeText($("code").textContent).then(() => toast("Copied"), () => toast("The browser does not allow it.")));
  }

  get talk() { return this.store.talks.get(this.store.open); }

  // try does what the user has asked for, and says why it did not work.
  async try(what, fn) {
    try { return await fn(); } catch (error) { toast(`${what}: ${error.message || "it did not work"}`); return null; }
  }

  show_people() {
    const others = (this.store.contacts || []).filter((c) => c.data.flUserId !== this.store.me);
    const chosen = new Set();
    $("people").returnValue = "";
    $("group-name").value = "";
    const update = () => {
      $("group-name-field").hidden = $("group-invite-field").hidden = chosen.size < 2;
      $("people-go").disabled = !chosen.size;
      $("people-go").textContent = chosen.size > 1 ? "Create the group" : "Start";
    };
    $("people-list").replaceChildren(...others.map((c) => {
      const name = personName(c);
      return el("li", {}, el("label", {}, el("input", { type: "checkbox", value: c.id, onchange: (e) => { e.target.checked ? chosen.add(c.id) : chosen.delete(c.id); update(); } }),
        face(name, c.data.flUserId || name), el("span", { class: "grow" }, name, el("small", {}, personTitle(c)))));
    }));
    this.chosen = chosen;
    update();
    $("people").showModal();
  }
  async create() {
    const participants = [...this.chosen];
    const options = { participants };
    if (participants.length > 1) {
      const first = (id) => firstName(personName(this.store.contacts.find((c) => c.id === id)));
      const name = $("group-name").value.trim() || ["You", ...participants.map(first)].join(", ").replace("You", firstName(this.store.person(this.store.me)));
      Object.assign(options, { name, group: { name, public: false }, allowInvite: $("group-invite").checked });
    }
    // Repeating is safe: the same people have the same conversation.
    const c = await this.try("Not created", () => persist(() => this.chat.create(options)));
    if (!c) return;
    await this.refresh();
    if (c.isNew === false && participants.length > 1) toast("These people have a group already.");
    this.open(c.id);
  }

  async show_channels() {
    $("channel-name").value = "";
    $("channels-list").replaceChildren(el("li", { class: "empty" }, "Loading…"));
    $("channels").showModal();
    const list = await this.try("No channels", () => persist(() => this.chat.channels.get()));
    $("channels-list").replaceChildren(...(list || []).map((c) => {
      const joined = this.store.talks.has(c.id), n = asList(asRecord(c.definition).participants).length, name = asText(c.name) || "Channel";
      return el("li", { class: "line" }, face("#", "c" + c.id, true), el("span", { class: "grow" }, name, el("small", {}, n === 1 ? "1 member" : n + " members")),
        el("button", { type: "button", class: "quiet", "aria-label": (joined ? "Open " : "Join ") + name, onclick: () => joined ? ($("channels").close(), this.open(c.id)) : this.joinChannel(c.id) }, joined ? "Open" : "Join"));
    }));
    if (list && !list.length) $("channels-list").replaceChildren(el("li", { class: "empty" }, "There is none yet."));
  }
  async joinChannel(id) {
    if (!await this.try("Not joined", () => persist(() => this.chat.channels.join(id)))) return;
    $("channels").close();
    await this.refresh();
    this.open(id);
  }
  async createChannel() {
    const name = $("channel-name").value.trim();
    if (!name) return $("channel-name").focus();
    const c = await this.try("Not created", () => this.chat.channels.create(name)); // not repeated: it would make two
    if (c) await this.joinChannel(c.id);
  }

  show_join() {
    $("join").returnValue = "";
    $("join-code").value = "";
    $("join").showModal();
  }
  async join() {
    const code = $("join-code").value.trim();
    if (!code) return;
    const c = await this.try("Not joined", () => persist(() => this.chat.conversations.join(code)));
    if (!c) return;
    await this.refresh();
    this.open(c.id);
  }

  async details() {
    const t = this.talk, { store } = this;
    if (!t) return;
    const direct = store.isDirect(t);
    $("details-title").textContent = store.title(t);
    $("details-code").hidden = true;
    $("leave").textContent = direct ? "Remove this conversation" : t.conversation.isChannel ? "Leave the channel" : "Leave the group";
    $("add-section").hidden = direct || t.conversation.isChannel;
    const members = store.members(t);
    $("members-title").textContent = members.length + " members";
    $("members").replaceChildren(...members.map((id) => el("li", { class: "line" }, face(store.person(id), id),
      el("span", { class: "grow" }, store.person(id) + (id === store.me ? " (you)" : ""), el("small", {}, personTitle(store.people.get(id)))))));
    const outside = (store.contacts || []).filter((c) => !members.includes(c.data.flUserId));
    $("add-who").replaceChildren(...outside.map((c) => el("option", { value: c.id }, personName(c))));
    $("add-section").hidden ||= !outside.length;
    $("details").showModal();
    if (direct || t.conversation.isChannel) return;
    try {
      const code = await persist(() => t.conversation.getInviteCode());
      if (this.talk === t && code) { $("code").textContent = code; $("details-code").hidden = false; }
    } catch { /* there is none */ }
  }
  async add() {
    const t = this.talk, id = Number($("add-who").value);
    if (await this.try("Not added", async () => { await persist(() => t.conversation.participants.add([id])); return true; })) {
      await this.refresh();
      $("details").close();
      this.details();
    }
  }
  async leave() {
    const t = this.talk, direct = this.store.isDirect(t);
    if (!await sure(direct ? "Remove this conversation from your list?" : `Leave “${this.store.title(t)}”? Others can let you in again.`, direct ? "Remove" : "Leave")) return;
    const me = this.store.people.get(this.store.me);
    if (await this.try("Not left", async () => { await persist(() => t.conversation.participants.remove([me.id])); return true; })) {
      $("details").close();
      this.store.open = null;
      $("app").dataset.view = "list";
      await this.refresh();
    }
  }
  async mute() {
    const t = this.talk, c = t.conversation, muted = c.isMuted;
    await this.try("Not changed", () => persist(() => muted ? c.notifications.unmute() : c.notifications.mute()));
    this.store.touch("talk");
    this.store.touch("list");
  }
}
