/**
 * The methods of Fliplet.Chat, on a server that mounts the Go package chathttp. No build step, no dependency:
 *
 *   <script src="/chat/chat.js"></script>
 *   const chat = await Fliplet.Chat.connect();            // {url}: where the handler is, default: beside this file
 *   const me = await chat.user();                         // who the server says is logged in
 *   chat.stream((message) => show(message), { onState: (state, error) => … });
 *   await chat.message(conversation.id, { body: "Hello", file: [aFile] }, { onProgress: (sent, total) => … });
 *
 * Rejections have {code, status, message}. A stream connects again by itself and goes on where it was. Sends go out in
 * the order of the calls, each conversation for itself, and again until it is known that they are stored, once.
 */
(function (root) {
  "use strict";
  const script = root.document && root.document.currentScript;
  const sleep = (ms, signal) => new Promise((resolve) => { setTimeout(resolve, ms); if (signal) signal.addEventListener("abort", resolve); });
  const temporary = [0, 408, 425, 429, 502, 503, 504]; // statuses after which the same call may succeed; 0: no connection
  const attempts = 4; // of calls that only read
  const silence = 40000; // without a byte for so long a connection is dead: the server sends something every 15 s
  const remembered = 20000; // messages of a stream that are known again after a reset
  const overlap = 60000; // how far before the newest change a stream reads again after a reset

  class ChatError extends Error {
    constructor({ code = 0, status = 0, message = "no connection to the server" }, retryAfter = 0) {
      Object.assign(super(message), { name: "ChatError", code, status, retryAfter });
    }
  }

  const guid = () => [...root.crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  /** Half to one and a half of a growing wait, or what the server asked for. */
  const backoff = (attempt, error) => Math.max((error && error.retryAfter * 1000) || 0, Math.min(30000, 500 * 2 ** attempt) * (0.5 + Math.random()));

  const rejection = (status, text, retryAfter) => {
    let body = {};
    try { body = JSON.parse(text) || {}; } catch { /* a page of a proxy */ }
    return new ChatError({ code: body.code || status, status, message: body.message || "the server answered " + status }, Number(retryAfter) || 0);
  };
  /** An answer that was cut off, or is a page of the network's own, is none: status 0, as without a connection. */
  const parse = (text) => { try { return JSON.parse(text); } catch { throw new ChatError({ message: "the answer is not the server's" }); } };

  class Chat {
    constructor(options) {
      this.base = new URL(options.url || (script && new URL(".", script.src).href) || "./", root.location && root.location.href);
      if (!this.base.pathname.endsWith("/")) this.base.pathname += "/";
      Object.assign(this, { queues: new Map(), streams: new Set() });
      const read = (method, args) => this.call(method, args, attempts), list = (found) => found.map((m) => this.absolute(m));
      this.unread = { get: async () => ({ entries: list((await read("unread.get", [])).entries) }), count: () => read("unread.count", []) };
      this.channels = {
        get: () => read("channels.get", []), create: (name) => this.call("channels.create", [name]),
        join: async (id) => this.conversation(await this.call("channels.join", [id])), delete: (id) => this.call("channels.delete", [id]),
      };
      Object.assign(this, { contacts: (options) => read("contacts", [options]), user: () => read("user", []), getBatchSize: () => 200 });
      this.messages = async (options) => list(await read("messages", [options]));
      this.conversations = async (options) => (await read("conversations", [options])).map((c) => this.conversation(c));
      this.conversations.get = async (id) => this.conversation(await read("conversations.get", [id]));
      this.conversations.join = async (code) => this.conversation(await this.call("conversations.join", [code]));
    }

    login(query, options) { return this.call("login", [query, options], attempts); }
    logout() { return this.call("logout", []); } poll(options) { return this.call("poll", [options]); }
    async create(options) { return this.conversation(await this.call("create", [options])); }
    deleteMessage(id, messageId) { return this.call("deleteMessage", [id, messageId]); }
    async updateMessage(id, messageId, data) { return this.absolute(await this.call("updateMessage", [id, messageId, this.relative(data)])); }
    markMessagesAsRead(messages) { return this.call("markMessagesAsRead", [messages], attempts); }
    /**
     * Sends a message: body, file (File or Blob objects, data URLs, files of other messages), guid, columns. options: onProgress(sent, total),
     * onRetry(error) each time that an attempt fails and another one follows, signal to give up.
     */
    message(id, message, options = {}) {
      const draft = { ...message, guid: message.guid || guid() }, key = String(id);
      const sent = (this.queues.get(key) || Promise.resolve()).catch(() => {}).then(() => this.send(id, draft, options));
      this.queues.set(key, sent);
      sent.catch(() => {}).then(() => this.queues.get(key) === sent && this.queues.delete(key));
      return sent;
    }

    async send(id, draft, options) {
      const given = draft.file || [], files = given instanceof Object && "length" in given ? Array.from(given) : [given];
      const blobs = files.filter((f) => f instanceof Blob), givenUp = () => options.signal && options.signal.aborted;
      const object = this.relative({ ...draft, file: files.filter((f) => !(f instanceof Blob)) });
      for (let attempt = 0; ; attempt++) {
        try {
          if (givenUp()) throw new ChatError({ message: "the message was given up" });
          return this.absolute(await (blobs.length ? this.upload(id, object, blobs, options) : this.call("message", [id, object], 1, options.signal)));
        } catch (error) {
          if (givenUp() || !temporary.includes(error.status) || (error.status === 502 && attempt > 8)) throw error;
          if (options.onRetry) options.onRetry(error);
          await sleep(backoff(attempt, error), options.signal); // the guid stays, so that it is stored once
        }
      }
    }
    upload(id, object, blobs, options) {
      const form = new FormData();
      form.append("message", JSON.stringify(object));
      for (const blob of blobs) form.append("file", blob, blob.name || "file");
      return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open("POST", new URL("upload/" + encodeURIComponent(id), this.base));
        if (options.onProgress) request.upload.onprogress = (e) => options.onProgress(e.loaded, e.total);
        if (options.signal) options.signal.addEventListener("abort", () => request.abort());
        request.onload = () => (request.status === 200 ? resolve(request.responseText) : reject(rejection(request.status, request.responseText, request.getResponseHeader("Retry-After"))));
        request.onerror = request.onabort = () => reject(new ChatError({}));
        request.send(form);
      }).then(parse);
    }

    /** Calls a method of the server. tries: how often, at the most, when it fails for a while only. */
    async call(method, args, tries = 1, signal = undefined) {
      for (let attempt = 0; ; attempt++) {
        try {
          return parse(await (await this.post("call/" + method, args, signal)).text().catch(() => ""));
        } catch (error) {
          const most = error.status === 429 ? attempts : tries; // what was refused unseen can be repeated
          if ((signal && signal.aborted) || attempt + 1 >= most || !temporary.includes(error.status)) throw error;
          await sleep(backoff(attempt, error));
        }
      }
    }

    post(path, value, signal, keepalive) { return this.fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value), signal, keepalive }); }
    async fetch(path, options) {
      const response = await root.fetch(new URL(path, this.base), { credentials: "same-origin", cache: "no-store", ...options }).catch(() => { throw new ChatError({}); });
      if (!response.ok) throw rejection(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));
      return response;
    }

    /**
     * Calls fn with each message. options: offline (begin with what is cached), from ("newest", "now", "beginning"), marks: false
     * (no read marks), onState(state, error) with "open", "waiting" (it connects again), "closed"; onGap(gap),
     * onReset(reason): the server does not know the stream any more, so deletions may have been missed.
     * The promise resolves when the stream is open. Its stop() ends the stream.
     */
    stream(fn, options = {}) {
      const stream = { fn, options, id: "", due: 0, known: new Map(), newest: 0, wake: () => {} };
      const opened = new Promise((resolve, reject) => Object.assign(stream, { resolve, reject }));
      opened.catch(() => {}); // onState tells, too
      opened.stop = () => { stream.stopped = true; this.leave(stream); stream.abort.abort(); stream.wake(); };
      this.streams.add(stream);
      this.follow(stream);
      return opened;
    }

    /** Tells the server that nobody comes back for a stream, also while the page goes. */
    leave(stream) {
      this.streams.delete(stream);
      if (stream.id) this.post("stream/close", { id: stream.id }, undefined, true).catch(() => {});
    }
    async follow(stream) {
      const tell = (state, error) => { if (stream.options.onState) stream.options.onState(state, error); };
      for (let attempt = 0; !stream.stopped; attempt++) {
        let error;
        try {
          await this.connect(stream, () => { attempt = 0; tell("open"); stream.resolve(); });
        } catch (e) {
          error = e instanceof ChatError ? e : new ChatError({});
          if (!stream.stopped && ![...temporary, 410, 500].includes(error.status)) { // such as 401: log in, and stream again
            stream.stopped = true;
            stream.reject(error); tell("closed", error);
          }
        }
        if (stream.stopped) break;
        tell("waiting", error);
        await Promise.race([sleep(backoff(attempt, error)), new Promise((resolve) => { stream.wake = resolve; })]);
      }
      this.streams.delete(stream);
    }

    async connect(stream, opened) {
      const { offline, from, marks } = stream.options, abort = (stream.abort = new AbortController());
      const query = new URLSearchParams({ ack: "1", ...(offline && { offline: "1" }), ...(from && { from }), ...(marks === false && { marks: "0" }) });
      const response = await this.fetch("stream?" + query, { headers: stream.id ? { "Last-Event-ID": stream.id } : {}, signal: abort.signal });
      if (!/^text\/event-stream/.test(response.headers.get("Content-Type"))) { abort.abort(); throw new ChatError({ message: "the answer is not the server's" }); }
      stream.since = stream.since || Date.parse(response.headers.get("Date")) - 60 * overlap || 0; // by another clock than that of the messages
      if (!stream.newest) stream.begun = this.call("messages", [{ order: [["updatedAt", "DESC"]], limit: 1 }], attempts).then((page) => this.saw(stream, page[0]), () => {});
      opened();
      const reader = response.body.getReader(), decoder = new TextDecoder();
      let watch, text = "";
      try {
        for (;;) {
          watch = setTimeout(() => abort.abort(), silence);
          const { value, done } = await reader.read();
          stream.heard = Date.now();
          clearTimeout(watch); if (done || stream.stopped) return;
          const blocks = (text + decoder.decode(value, { stream: true })).split("\n\n");
          text = blocks.pop();
          for (const block of blocks) {
            const event = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
            if (event.data && !stream.stopped) await this.event(stream, event);
          }
        }
      } finally {
        clearTimeout(watch);
        abort.abort();
      }
    }
    async event(stream, { event = "message", id, data }) {
      const { onState, onGap, onReset } = stream.options, value = JSON.parse(data);
      if (event === "message") this.deliver(stream, value);
      if (event === "gap" && onGap) onGap(value);
      if (event === "trouble" && onState) onState("open", new ChatError(value)); // it is read, but Fliplet does not answer
      if (event === "end") throw new ChatError({ ...value, status: 410 }); // another login, or none, is behind the next connection
      if (event === "reset") {
        stream.again = true;
        if (onReset) onReset(value.reason);
        await this.catchUp(stream);
      }
      if (!id) return;
      stream.id = id;
      stream.due += 1 + data.length / 4096;
      if (stream.due >= 64) this.acknowledge(stream);
      else if (!stream.timer) stream.timer = setTimeout(() => this.acknowledge(stream), 3000);
    }
    acknowledge(stream) {
      [stream.timer, stream.due] = [clearTimeout(stream.timer), 0];
      if (!stream.stopped) this.post("stream/ack", { id: stream.id }).catch(() => {});
    }

    deliver(stream, message) {
      const version = [message.updatedAt, message.deletedAt, JSON.stringify(message.data)].join(), before = stream.known.get(message.id);
      let hash = 0; // a whole text for each message would be much to remember
      for (let i = 0; i < version.length; i++) hash = (Math.imul(hash, 31) + version.charCodeAt(i)) | 0;
      if (stream.again && before === hash && !message.isReplay) return;
      if (stream.again && before !== undefined && !message.isReplay) message.isUpdate = true;
      stream.known.delete(message.id);
      stream.known.set(message.id, hash);
      if (stream.known.size > remembered) stream.known.delete(stream.known.keys().next().value);
      this.saw(stream, message);
      try { stream.fn(this.absolute(message)); } catch (error) { console.error("a function of a stream failed", error); } // the next message is not to blame
    }

    saw(stream, message) { stream.newest = Math.max(stream.newest, message ? Date.parse(message.updatedAt) || 0 : 1); } // 1: there was none, all are new
    /** Reads what has changed since the newest message of a stream that the server has given up. */
    async catchUp(stream) {
      await stream.begun;
      const found = [], at = (time) => new Date(time).toISOString();
      for (let from = Math.max(0, (stream.newest || stream.since) - overlap), after = 0; !stream.stopped;) {
        const where = after ? { updatedAt: { $gte: at(from), $lt: at(from + 1) }, id: { $gt: after } } : { updatedAt: { $gte: at(from) } };
        const page = await this.call("messages", [{ where, order: [["updatedAt", "ASC"], ["id", "ASC"]], limit: 200 }], attempts), end = page.at(-1);
        found.push(...page);
        if (page.length < 200 && !after) break;
        if (page.length < 200) [from, after] = [from + 1, 0];
        else if (after || Date.parse(end.updatedAt) === from) after = end.id; // more than a page was written at once, as read marks are
        else from = Date.parse(end.updatedAt);
      } // a read mark has changed some since: what is new comes in the order in which it was sent
      found.sort((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt) || a.id - b.id).forEach((message) => this.deliver(stream, message));
    }

    /** Gives an object of a conversation its methods. */
    conversation(raw) {
      const read = (method, ...args) => this.call(method, [raw.id, ...args], attempts);
      const change = async (method, ...args) => { Object.assign(raw, await this.call(method, [raw.id, ...args])); };
      const mute = () => change("notifications.mute"), unmute = () => change("notifications.unmute");
      return Object.assign(raw, {
        mute, unmute, notifications: { mute, unmute },
        participants: {
          get: () => [...((raw.definition && raw.definition.participants) || [])], fetch: () => read("participants.fetch"),
          add: (ids) => change("participants.add", ids), remove: (ids) => change("participants.remove", ids),
        },
        messages: {
          fetch: async (options) => { const found = await read("messages.fetch", options); (found.entries || found).forEach((m) => this.absolute(m)); return found; },
          get: async (id) => this.absolute(await read("messages.get", id)),
          history: async (options) => (await read("messages.history", options)).map((m) => this.absolute(m)),
        },
        getInviteCode: () => read("getInviteCode"), getEncryptionKey: () => read("getEncryptionKey"),
      });
    }

    /** Makes references to files absolute, so that a page can load them. */
    absolute(message) {
      const files = message && message.data && message.data.file;
      if (files) message.data.file = [].concat(files).map((f) => (String(f).startsWith("file/") ? new URL(f, this.base).href : f));
      return message;
    }
    relative(data) {
      const own = this.base.href + "file/", cut = (f) => (String(f).startsWith(own) ? "file/" + f.slice(own.length) : f);
      return data && data.file ? { ...data, file: [].concat(data.file).map(cut) } : data;
    }
  }

  let current, chats = [], waiting = [];
  const each = (fn) => chats.forEach((chat) => chat.streams.forEach((stream) => fn(stream, chat)));
  const wake = () => each((stream) => { // after a pause a connection may be dead without anybody having noticed
    if (Date.now() - stream.heard > silence / 2) stream.abort.abort();
    stream.wake();
  });
  if (root.document) {
    root.addEventListener("online", wake);
    root.addEventListener("offline", () => each((stream) => stream.abort.abort())); // what is said to be open is not
    root.document.addEventListener("visibilitychange", () => root.document.hidden || wake());
    root.addEventListener("pagehide", (event) => event.persisted || each((stream, chat) => chat.leave(stream)));
  }
  const api = {
    /** Other options of the JavaScript API are the server's to choose, and ignored. */
    connect: async (options = {}) => { chats.push((current = new Chat(options))); waiting.splice(0).forEach((resolve) => resolve(current)); return current; },
    init: async (options) => { const chat = await api.connect(options); await chat.user(); return chat; },
    get: () => (current ? Promise.resolve(current) : new Promise((resolve) => waiting.push(resolve))),
  };
  root.Fliplet = { ...root.Fliplet, Chat: Object.assign(api, { ChatError }) };
})(globalThis);
