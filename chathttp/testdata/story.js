// What chat.js does for a page, told by Node against a server of the test. It fails with an exit code.
"use strict";
const assert = require("node:assert");
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
const control = (path) => fetch(base + "/control/" + path, { method: "POST" }).catch(() => {}); // its own connection may be cut, too

async function main() {
  const waits = Fliplet.Chat.get();
  const jane = await Fliplet.Chat.connect({ url: base + "/jane/", dataSourceId: 7, encryptMessages: true });
  assert.strictEqual(await waits, jane);
  const bob = await Fliplet.Chat.connect({ url: base + "/bob" });
  assert.strictEqual(await Fliplet.Chat.get(), bob);

  // Sessions and lists.
  const me = await jane.login({ Email: { $iLike: "JANE@example.org" } });
  assert.strictEqual(me.data["Full name"], "Jane");
  assert.strictEqual((await bob.user()).data["Full name"], "Bob");
  assert.strictEqual((await jane.contacts({ where: { Email: "bob@example.org" } })).length, 1);
  assert.deepStrictEqual(await jane.conversations({ offline: true }), []);
  assert.strictEqual(jane.getBatchSize(), 200);
  await assert.rejects(jane.login({ Email: "nobody@example.org" }), { code: 404, status: 404 });
  await assert.rejects(jane.message(999999, { body: "x" }), { code: 404 });

  // A conversation and its methods.
  const his = (await jane.contacts({ where: { Email: "bob@example.org" } }))[0];
  const talk = await jane.create({ participants: [his.id], allowInvite: true });
  assert.strictEqual(talk.isNew, true);
  assert.strictEqual(talk.participants.get().length, 2);
  assert.strictEqual((await talk.participants.fetch()).length, 2);
  await talk.mute();
  assert.strictEqual(talk.isMuted, true);
  await talk.notifications.unmute();
  assert.strictEqual(talk.isMuted, false);
  assert.ok(await talk.getInviteCode());
  await assert.rejects(talk.getEncryptionKey(), { status: 403 });
  const eve = (await jane.contacts({ where: { Email: "eve@example.org" } }))[0];
  await talk.participants.add(eve.id);
  assert.strictEqual(talk.nParticipants, 3);
  await talk.participants.remove([eve.id]);
  assert.strictEqual(talk.nParticipants, 2);
  const news = await jane.channels.create("News");
  assert.strictEqual((await bob.channels.get()).length, 1);
  assert.strictEqual((await bob.channels.join(news.id)).isChannel, true);

  // Streams: what is typed at once arrives once and in order, although answers are lost and connections cut.
  const got = [], states = [], resets = [];
  const opened = bob.stream((m) => got.push(m), { onState: (s) => states.push(s), onReset: (r) => resets.push(r) });
  await opened;
  await until("the stream is open", () => states.includes("open"));
  await control("faults");
  await control("lose");
  const typed = Array.from({ length: 24 }, (_, i) => "typed " + i), sends = [];
  for (const [i, body] of typed.entries()) {
    sends.push(jane.message(talk.id, { body }));
    if (i % 8 === 4) await control("cut");
  }
  const sent = await Promise.all(sends);
  assert.deepStrictEqual(sent.map((m) => m.data.body), typed);
  await until("everything has arrived", () => got.filter((m) => !m.isUpdate).length >= typed.length);
  await control("calm");
  const texts = () => got.filter((m) => !m.isUpdate).map((m) => m.data.body);
  assert.deepStrictEqual(texts(), typed);
  assert.deepStrictEqual(resets, []);

  // What is given up is not sent, and holds up nothing.
  await control("down");
  const stop = new AbortController();
  const never = jane.message(talk.id, { body: "never" }, { signal: stop.signal, onRetry: () => stop.abort() });
  const neither = jane.message(talk.id, { body: "neither" }, { signal: AbortSignal.abort() });
  await assert.rejects(never);
  await assert.rejects(neither);
  await control("up");

  // Edits, marks, files by reference, deletions.
  await jane.updateMessage(talk.id, sent[0].id, { body: "edited", isEdited: true });
  await until("the edit", () => got.some((m) => m.isUpdate && m.data.body === "edited"));
  assert.ok((await bob.unread.count()) >= typed.length);
  await bob.markMessagesAsRead((await bob.unread.get()).entries);
  assert.strictEqual(await bob.unread.count(), 0);
  const picture = await jane.message(talk.id, { body: "pic", file: ["data:image/gif;base64,R0lGODlhAQABAAAAACw="] });
  assert.ok(picture.data.file[0].startsWith(base + "/jane/file/"), picture.data.file[0]);
  assert.strictEqual((await fetch(picture.data.file[0])).headers.get("Content-Type"), "image/gif");
  const again = await jane.message(talk.id, { body: "again", file: picture.data.file });
  assert.strictEqual((await fetch(again.data.file[0])).status, 200);
  await jane.deleteMessage(talk.id, sent[1].id);
  await until("the deletion", () => got.some((m) => m.isDeleted && m.id === sent[1].id));
  assert.strictEqual((await talk.messages.history({ limit: 5 })).length, 5);
  assert.strictEqual((await talk.messages.fetch({ where: { body: "x" } }).catch((e) => e)).status ?? 200, 400); // bodies are ciphertext
  const page = await bob.messages({ conversations: [talk.id], limit: 3 });
  assert.strictEqual(page[2].data.body, "again");

  // Another server knows nothing of the stream: it is read on from what the page has, nothing twice.
  await until("the last one", () => got.some((m) => m.data.body === "again"));
  got.length = 0;
  await control("stop");
  await control("write"); // 300 messages, more than the newest page
  await control("restart");
  await until("all of them", () => got.filter((m) => !m.isUpdate && !m.isDeleted).length >= 300);
  await sleep(500);
  assert.deepStrictEqual(texts(), Array.from({ length: 300 }, (_, i) => "written " + i));
  assert.deepStrictEqual(resets, ["unknown"]);

  // A login that is over closes the stream, and says so; stop ends one silently.
  const other = jane.stream(() => {});
  await other;
  other.stop();
  await control("forget");
  await until("the end", () => states.at(-1) === "closed");
  await assert.rejects(bob.conversations(), { code: 401 });
  await assert.rejects(bob.stream(() => {}), { status: 401 });
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
