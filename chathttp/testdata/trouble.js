// What chat.js does in bad networks, told by Node against a server of the test. It fails with an exit code.
"use strict";
const assert = require("node:assert");
const listeners = {};
globalThis.document = { addEventListener() {} };
globalThis.addEventListener = (name, fn) => { listeners[name] = fn; };
globalThis.XMLHttpRequest = class { // no more of it than chat.js uses
  constructor() { this.upload = {}; }
  open(method, url) { this.url = url; }
  getResponseHeader(name) { return this.headers.get(name); }
  async send(body) {
    try {
      const response = await fetch(this.url, { method: "POST", body });
      Object.assign(this, { status: response.status, headers: response.headers, responseText: await response.text() });
    } catch {
      return this.onerror();
    }
    this.onload();
  }
};
require("../chat.js");

const base = process.argv[2];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (what, ok) => {
  for (let i = 0; i < 4000; i++) {
    if (ok()) return;
    await sleep(25);
  }
  throw new Error("it does not happen: " + what);
};
const control = (path) => fetch(base + "/control/" + path, { method: "POST" }).catch(() => {});
const within = (ms, promise, what) => Promise.race([promise, sleep(ms).then(() => { throw new Error("it does not end: " + what); })]);

async function main() {
  const jane = await Fliplet.Chat.connect({ url: base + "/jane/" }), bob = await Fliplet.Chat.connect({ url: base + "/bob/" });
  const his = (await jane.contacts({ where: { Email: "bob@example.org" } }))[0];
  const talk = await jane.create({ participants: [his.id] });

  // Answers that are cut off, or are pages of a network: reads and sends go on, others are rejected as always.
  for (const how of ["portal", "half"]) {
    await control(how);
    assert.strictEqual((await jane.message(talk.id, { body: how })).data.body, how);
    await control(how);
    const sent = await jane.message(talk.id, { body: how + " with a file", file: [new File(["x"], "a.txt", { type: "text/plain" })] });
    assert.strictEqual(sent.data.file.length, 1);
    await control(how);
    assert.strictEqual((await jane.user()).data["Full name"], "Jane");
    await control(how);
    await assert.rejects(jane.channels.create("x"), { name: "ChatError", status: 0 });
  }
  assert.deepStrictEqual((await bob.messages({})).map((m) => m.data.body), ["portal", "portal with a file", "half", "half with a file"]);

  // What Fliplet refuses holds up nothing.
  const refused = jane.message(talk.id, { body: "run it", file: [new File(["MZ"], "setup.exe")] }), next = jane.message(talk.id, { body: "next" });
  await within(20000, assert.rejects(refused, { code: 422, status: 422 }), "the refusal");
  await within(20000, next, "the next message");

  // A page of a network is no stream.
  const got = [], states = [];
  const listen = async () => {
    const stream = bob.stream((m) => got.push(m), { onState: (s) => states.push(s) });
    await stream;
    return () => stream.stop();
  };
  const texts = (word) => got.filter((m) => !m.isUpdate && m.data.body.startsWith(word)).map((m) => m.data.body);
  await control("portal");
  const first = await listen();
  assert.deepStrictEqual(states, ["waiting", "open"]);

  // An offline browser has no open stream.
  states.length = 0;
  listeners.offline();
  await until("it waits", () => states[0] === "waiting");
  await until("it is open", () => states.at(-1) === "open");

  // Another server after very many changes at one instant.
  await until("the newest message", () => got.some((m) => m.data.body === "next"));
  await control("stop");
  await control("together");
  await control("restart");
  await until("all of one instant", () => texts("together").length >= 450);
  assert.deepStrictEqual(texts("together").sort(), Array.from({ length: 450 }, (_, i) => "together " + i).sort());
  first();

  // Another server with a clock before that of Fliplet.
  await control("ahead");
  const second = await listen();
  await sleep(500);
  got.length = 0;
  await control("stop");
  await control("write");
  await control("restart");
  await until("all of another clock", () => texts("written").length >= 300);
  await sleep(300);
  assert.deepStrictEqual(texts("written"), Array.from({ length: 300 }, (_, i) => "written " + i));
  second();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
