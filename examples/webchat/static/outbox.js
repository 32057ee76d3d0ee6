// What the user has written goes out in that order, one message of a conversation after
// the other, until the server has it. A message keeps its GUID over all attempts, so the
// server knows it again; texts are also kept for a reload of the page.
import { wait } from "./util.js";

export class Outbox {
  constructor(store, chat, who, report) {
    Object.assign(this, { store, chat, report, key: "webchat-outbox/" + who, busy: new Set() });
  }

  // restore puts back what a reload has interrupted.
  restore() {
    let kept = [];
    try { kept = JSON.parse(sessionStorage.getItem(this.key)) || []; } catch { /* nothing is kept */ }
    for (const w of kept) {
      const talk = this.store.talks.get(w.conversation);
      if (!talk || talk.byGUID.has(w.guid + " " + this.store.me)) continue;
      talk.waiting.push({ ...w, files: [], progress: 0, abort: new AbortController() });
      this.run(talk);
    }
  }
  keep() {
    const all = [...this.store.talks.values()].flatMap((t) => t.waiting).filter((w) => !w.files.length);
    try { sessionStorage.setItem(this.key, JSON.stringify(all.map(({ guid, conversation, body, at }) => ({ guid, conversation, body, at })))); } catch { /* no room */ }
  }

  add(talk, body, files = []) {
    const message = { guid: crypto.randomUUID(), conversation: talk.id, body, files, at: new Date().toISOString(), progress: 0, abort: new AbortController() };
    talk.waiting.push(message);
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
          draft.file = message.files;
          draft.fileInfo = message.files.map(({ name, type, width, height }) => ({ name, type, width, height }));
        }
        const stored = await this.chat.message(talk.id, draft, {
          onProgress: (sent, total) => { message.progress = total > 0 ? sent / total : 0; this.store.touch("talk"); },
          onRetry: () => { message.late = true; this.store.touch("talk"); },
          signal: message.abort.signal,
        });
        message.done = true;
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
