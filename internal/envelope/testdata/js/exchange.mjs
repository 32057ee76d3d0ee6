// What Node and the browser both do with envelope.js: open what Go sealed, seal for Go, and name the code with which
// bodies that must not open are refused. Keys are hexadecimal; conversation ids are text, for they may pass 2^53.
const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));

export async function exchange({ seal, open, keyId, looksAuthenticated }, cases) {
  const read = [];
  for (const c of cases.read) {
    if (!looksAuthenticated(c.stored) || keyId(c.stored) !== c.keyId) throw new Error("the key id was not read");
    read.push(await open(c.keyId, bytes(c.key), c.conversationId, c.guid, c.sender, c.stored));
  }
  const written = [];
  for (const c of cases.write) {
    written.push(await seal(c.keyId, bytes(c.key), BigInt(c.conversationId), c.guid, c.sender, c.text));
  }
  const refused = [];
  for (const c of cases.refuse) {
    refused.push(await open(c.keyId, bytes(c.key), c.conversationId, c.guid, c.sender, c.stored).then(() => "opened", (e) => e.code));
  }
  const mistakes = [];
  const key = new Uint8Array(32);
  for (const args of [
    ["", key, 1, "g", "u", "x"], ["a b", key, 1, "g", "u", "x"], ["k", key.subarray(1), 1, "g", "u", "x"], ["k", "secret", 1, "g", "u", "x"],
    ["k", key, 0, "g", "u", "x"], ["k", key, -1, "g", "u", "x"], ["k", key, 1.5, "g", "u", "x"], ["k", key, 2 ** 53, "g", "u", "x"],
    ["k", key, undefined, "g", "u", "x"], ["k", key, 1, undefined, "u", "x"], ["k", key, 1, "\ud800", "u", "x"],
    ["k", key, 1, "g", undefined, "x"], ["k", key, 1, "g", "\ud800", "x"], ["k", key, 1, "g", "u", "\udc00"], ["k", key, 1, "g", "u", null],
    ["k", key, 1, "g", "x"],
  ]) {
    mistakes.push(await seal(...args).then(() => "sealed", (e) => e.code));
  }
  return { read, written, refused, mistakes };
}
