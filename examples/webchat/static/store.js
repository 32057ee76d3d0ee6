// What the page knows: people, conversations and their messages, in order, each once.
import { asList, asRecord, asText, asTime, firstName, ownColors, personName } from "./util.js";

// A message is shown once: a repeated request may have stored it in two rows, which have
// one GUID, and a stream that begins again tells rows that are known.
export const guard = { on: true };

const before = (a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.id - b.id);

// known makes a message one that the page can draw, whatever its row holds.
export function known(m) {
  const d = asRecord(m.data), number = (v) => (v > 0 && v < 1e5 ? Math.round(v) : undefined);
  m.data = {
    ...d, body: asText(d.body), guid: asText(d.guid), fromUserId: asText(d.fromUserId), readBy: asList(d.readBy).map(asText), file: asList(d.file).map(asText),
    fileInfo: asList(d.fileInfo).map(asRecord).map((f) => ({ name: asText(f.name), type: asText(f.type), width: number(f.width), height: number(f.height) })),
  };
  m.createdAt = asTime(m.createdAt);
  m.updatedAt = asTime(m.updatedAt || m.createdAt);
  return m;
}

export class Talk {
  constructor(conversation) {
    this.conversation = conversation;
    this.id = conversation.id;
    this.messages = []; // oldest first
    this.waiting = []; // what the user has written and the server has not
    this.byID = new Map();
    this.byGUID = new Map();
    this.unread = new Set();
    this.more = true; // there may be older ones
    this.draft = ""; // in the box, as are the files beside it, and an edit in place of both
    this.files = [];
    this.edit = null;
  }

  // add puts a message where it belongs and tells what it was: "new", "changed" or "known".
  add(m, me) {
    known(m);
    const guid = m.data.guid;
    const sender = m.data.fromUserId;
    const twin = guid && this.byGUID.get(guid + " " + sender);
    const old = this.byID.get(m.id) || twin;
    if (old && (guard.on || m.isUpdate || m.isDeleted)) {
      if (old.id !== m.id) return "known"; // the second row of one message
      if (m.updatedAt < old.updatedAt) return "known"; // read before what is known
      const same = old.updatedAt === m.updatedAt && old.isDeleted === m.isDeleted;
      const was = { readBy: old.data.readBy }, { fromUserId, guid } = old.data;
      Object.assign(old, m, { isUpdate: old.isUpdate || m.isUpdate });
      if (m.isDeleted) old.data = known({ data: { fromUserId, guid } }).data; // nothing else of it is left
      // A mark that another page of this user has just made must not get lost to a row read before it.
      if (was.readBy.includes(me) && !old.data.readBy.includes(me)) old.data.readBy = [...old.data.readBy, me];
      this.count(old, me);
      return same ? "known" : "changed";
    }
    if (m.isDeleted && !old) return "known";
    let at = this.messages.length;
    while (at > 0 && before(this.messages[at - 1], m) > 0) at--;
    this.messages.splice(at, 0, m);
    this.byID.set(m.id, m);
    if (guid) this.byGUID.set(guid + " " + sender, m);
    this.waiting = this.waiting.filter((w) => !(sender === me && w.guid === guid));
    this.count(m, me);
    return "new";
  }

  count(m, me) {
    const open = m.data.fromUserId !== me && !m.isDeleted && !m.isReadByCurrentUser && !m.data.readBy.includes(me);
    open ? this.unread.add(m) : this.unread.delete(m);
  }

  get last() {
    for (let i = this.messages.length - 1; i >= 0; i--) if (!this.messages[i].isDeleted) return this.messages[i];
    return null;
  }
  get latest() {
    const waiting = this.waiting.at(-1);
    return waiting ? waiting.at : this.last ? this.last.createdAt : asTime(this.conversation.updatedAt);
  }
}

export class Store extends EventTarget {
  constructor() {
    super();
    this.me = "";
    this.people = new Map(); // by flUserId
    this.talks = new Map();
    this.open = null;
    this.changed = new Set();
  }

  // touch tells that something has changed, once for all that changes at once.
  touch(what) {
    if (!this.changed.size) setTimeout(() => {
      const all = this.changed;
      this.changed = new Set();
      this.dispatchEvent(new CustomEvent("change", { detail: all }));
    }, 15);
    this.changed.add(what);
  }

  setPeople(contacts) {
    this.people.clear();
    for (const c of contacts) {
      c.data = asRecord(c.data);
      c.data.flUserId = asText(c.data.flUserId);
      if (c.data.flUserId) this.people.set(c.data.flUserId, c);
    }
    ownColors([...contacts].sort((a, b) => a.id - b.id).map((c) => c.data.flUserId).filter(Boolean));
    this.contacts = contacts;
    this.touch("list");
  }

  setConversations(list) {
    const seen = new Set();
    for (const c of list) {
      seen.add(c.id);
      const talk = this.talks.get(c.id);
      if (talk) talk.conversation = c;
      else this.talks.set(c.id, new Talk(c));
    }
    for (const id of [...this.talks.keys()]) if (!seen.has(id)) {
      this.talks.delete(id);
      if (this.open === id) this.open = null;
    }
    this.touch("list");
    this.touch("talk");
  }

  name(userID) { return userID === this.me ? "You" : personName(this.people.get(userID)); }
  person(userID) { return personName(this.people.get(userID)); }
  members(talk) { return asList(asRecord(talk.conversation.definition).participants).map(asText); }
  others(talk) { return this.members(talk).filter((id) => id !== this.me); }
  isDirect(talk) {
    const c = talk.conversation;
    return !c.isChannel && !c.isGroup && this.members(talk).length <= 2;
  }
  title(talk) {
    if (this.isDirect(talk)) return this.person(this.others(talk)[0]);
    const name = asText(talk.conversation.name);
    return /^[0-9a-f-]{36}$/i.test(name) ? this.others(talk).map((id) => firstName(this.person(id))).join(", ") || "Group" : name;
  }
  sorted() { return [...this.talks.values()].sort((a, b) => (a.latest < b.latest ? 1 : a.latest > b.latest ? -1 : b.id - a.id)); }
}
