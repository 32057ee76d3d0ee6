// What the user has written goes out in that order, one message of a conversation after
// the other, until the server has it. A message keeps its GUID over all attempts, so the
// server knows it again. What waits is kept for a reload of the page: texts with the tab,
// files in the browser's database.
import { toast, wait } from "./util.js";

const long = 2 * 864e5; // of a tab that was closed with files in it

// Files keeps the files of messages by GUID. Where there is no database, nothing is kept.
class Files {
  async run(mode, fn) {
    try {
      this.opening ||= new Promise((done, fail) => {
        const request = indexedDB.open("webchat", 1);
        request.onupgradeneeded = () => request.result.createObjectStore("files");
        request.onsuccess = () => done(request.result);
        request.onerror = request.onblocked = () => fail(request.error);
      });
      const work = (await this.opening).transaction("files", mode), request = fn(work.objectStore("files"));
      return await new Promise((done, fail) => {
        work.oncomplete = () => done(request.result);
        work.onerror = work.onabort = () => fail(work.error);
      });
    } catch { return null; }
  }
  put(guid, files) {
    return this.run("readwrite", (all) => all.put({ at: Date.now(), files: files.map((file) => ({ file, width: file.width, height: file.height })) }, guid));
  }
  async get(guid) {
    const had = await this.run("readonly", (all) => all.get(guid));
    return had && had.files.map(({ file, width, height }) =>
      Object.assign(file, { width, height, preview: file.type.startsWith("image/") ? URL.createObjectURL(file) : undefined }));
  }
  delete(guid) { return this.run("readwrite", (all) => all.delete(guid)); }
  tidy() {
    return this.run("readwrite", (all) => Object.assign(all.openCursor(), { onsuccess({ target: { result } }) {
      if (!result) return;
      if (Date.now() - result.value.at > long) result.delete();
      result.continue();
    } }));
  }
}

export class Outbox {
  constructor(store, chat, who, report) {
    Object.assign(this, { store, chat, report, key: "webchat-outbox/" + who, busy: new Set(), files: new Files() });
    this.files.tidy();
    // A reload brings back what waits. A tab that is closed does not, and a network that
    // is slow or away has had its chance.
    addEventListener("beforeunload", (e) => {
      const attached = [...this.store.talks.values()].some((t) => t.files.length);
      if (attached || this.all().some((w) => !w.done && (w.late || w.failed || w.files.length))) e.preventDefault();
    });
  }
  all() { return [...this.store.talks.values()].flatMap((t) => t.waiting); }

  // restore puts back what a reload has interrupted.
  async restore() {
    let kept = [];
    try { kept = JSON.parse(sessionStorage.getItem(this.key)) || []; } catch { /* nothing is kept */ }
    for (const w of kept) {
      const talk = this.store.talks.get(w.conversation);
      if (!talk || talk.byGUID.has(w.guid + " " + this.store.me)) continue;
      const files = w.files ? await this.files.get(w.guid) : [];
      if (!files) {
        talk.draft ||= w.body;
        toast("The browser has not kept the files of a message. Its text is in the box again.");
        continue;
      }
      talk.waiting.push({ ...w, files, progress: 0, abort: new AbortController() });
      this.run(talk);
    }
  }
  keep() {
    const all = this.all().filter((w) => !w.done);
    try { sessionStorage.setItem(this.key, JSON.stringify(all.map(({ guid, conversation, body, at, files }) => ({ guid, conversation, body, at, files: files.length })))); } catch { /* no room */ }
  }

  add(talk, body, files = []) {
    const message = { guid: crypto.randomUUID(), conversation: talk.id, body, files, at: new Date().toISOString(), progress: 0, abort: new AbortController() };
    talk.waiting.push(message);
    if (files.length) Promise.all(files.map((f) => f.ready)).then(() => !message.done && talk.waiting.includes(message) && this.files.put(message.guid, files));
    this.report.sent(message);
    this.keep();
    this.store.touch("talk");
    this.store.touch("list");
    this.run(talk);
    return message;
  }
  discard(talk, message) {
    talk.waiting = talk.waiting.filter((w) => w !== message);
    message.abort.abort();
    if (message.files.length) this.files.delete(message.guid);
    this.report.dropped(message);
    this.keep();
    this.store.touch("talk");
  }
  retry(talk, message) {
    message.failed = "";
    this.store.touch("talk");
    this.run(talk);
  }

  async run(talk) {
    if (this.busy.has(talk.id)) return;
    this.busy.add(talk.id);
    for (let next; (next = talk.waiting.find((w) => !w.failed && !w.done)); ) await this.send(talk, next);
    this.busy.delete(talk.id);
    this.keep();
  }

  async send(talk, message) {
    for (let pause = 300; talk.waiting.includes(message); pause = Math.min(pause * 1.7, 5000)) {
      try {
        const draft = { body: message.body, guid: message.guid };
        if (message.files.length) {
          await Promise.all(message.files.map((f) => f.ready));
          draft.file = message.files;
          draft.fileInfo = message.files.map(({ name, type, width, height }) => ({ name, type, width, height }));
        }
        const stored = await this.chat.message(talk.id, draft, {
          onProgress: (sent, total) => { message.progress = total > 0 ? sent / total : 0; this.store.touch("talk"); },
          onRetry: () => { message.late = true; this.store.touch("talk"); },
          signal: message.abort.signal,
        });
        message.done = true;
        if (message.files.length) this.files.delete(message.guid);
        message.tries = 0;
        this.stored?.(talk, stored, message);
        return;
      } catch (error) {
        message.tries = (message.tries || 0) + 1;
        if (refused(error)) {
          message.failed = error.message || "The server has refused it.";
          this.store.touch("talk");
          return;
        }
        message.late = true;
        this.store.touch("talk");
        await wait(pause * (0.7 + Math.random() * 0.6));
      }
    }
  }
}

// refused tells a message that will never be accepted from one that may be later.
export function refused(error) {
  const status = (error && (error.status || error.code)) || 0;
  return status >= 400 && status < 500 && ![401, 403, 408, 409, 425, 429].includes(status);
}
