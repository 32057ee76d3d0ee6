// Sealed files of Fliplet chat: what the Go SDK encrypts before an upload, a Fliplet screen can open, and the other
// way round. WebCrypto only, like envelope.js; for files that fit into memory.
//
//   import { open } from "./envelope.js";
//   import { openFile } from "./files.js";
//   const list = JSON.parse(await open(keyId, key, conversationId, guid + "\0files", fromUserId, row.data.flSealedFiles));
//   const item = list[0]; // { key: base64, index, type }, or { url }
//   const bytes = await openFile(fromBase64(item.key), conversationId, guid, item.index || 0, sealedBytes);
//
// Format, version 1:  "flfile:1" || prefix(7) || chunks of 65,536 bytes, the last one shorter, each with a tag(16)
// AES-256-GCM. Nonce: prefix || number of the chunk (4 bytes) || 1 for the last chunk, else 0. Associated data, every
// number as 8 bytes big-endian:  len("flfile:1") || "flfile:1" || conversation id || len(guid) || guid || index

const MAGIC = "flfile:1";
const PREFIX_SIZE = 7;
const HEADER_SIZE = MAGIC.length + PREFIX_SIZE;
const CHUNK_SIZE = 65536;
const TAG_SIZE = 16;

/**
 * Encrypts a file under a key that no other file has.
 * @param {Uint8Array} keyBytes 32 random bytes
 * @param {number|bigint|string} conversationId the id of the conversation's data source
 * @param {string} guid the message's guid column
 * @param {number} index counts the sealed files of the message from 0
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>}
 */
export async function sealFile(keyBytes, conversationId, guid, index, bytes) {
  const key = await crypto.subtle.importKey("raw", keyBytes, "AES-GCM", false, ["encrypt"]);
  const prefix = crypto.getRandomValues(new Uint8Array(PREFIX_SIZE));
  const parts = [new TextEncoder().encode(MAGIC), prefix];
  for (const { at, end, iv, last } of chunks(bytes.length, CHUNK_SIZE, prefix)) {
    const algorithm = { name: "AES-GCM", iv, additionalData: associatedData(conversationId, guid, index) };
    parts.push(new Uint8Array(await crypto.subtle.encrypt(algorithm, key, bytes.subarray(at, end))));
    if (last) break;
  }
  return joined(parts);
}

/**
 * Decrypts what sealFile, here or in the Go SDK, made with the same arguments. It rejects everything else: changed, cut,
 * longer, in another order, or of another place.
 * @returns {Promise<Uint8Array>}
 */
export async function openFile(keyBytes, conversationId, guid, index, sealed) {
  const key = await crypto.subtle.importKey("raw", keyBytes, "AES-GCM", false, ["decrypt"]);
  const body = sealed.subarray(HEADER_SIZE);
  const parts = [];
  try {
    if (new TextDecoder().decode(sealed.subarray(0, MAGIC.length)) !== MAGIC || body.length < TAG_SIZE) throw new Error();
    for (const { at, end, iv } of chunks(body.length, CHUNK_SIZE + TAG_SIZE, sealed.subarray(MAGIC.length, HEADER_SIZE))) {
      if (at > 0 && end - at <= TAG_SIZE) throw new Error(); // only an empty file has an empty chunk
      const algorithm = { name: "AES-GCM", iv, additionalData: associatedData(conversationId, guid, index) };
      parts.push(new Uint8Array(await crypto.subtle.decrypt(algorithm, key, body.subarray(at, end))));
    }
  } catch {
    throw new Error("not a file that was sealed under this key for this conversation, message and index");
  }
  return joined(parts);
}

function* chunks(length, size, prefix) {
  for (let at = 0, number = 0; at === 0 || at < length; at += size, number++) {
    const last = at + size >= length;
    const iv = new Uint8Array(12);
    iv.set(prefix);
    new DataView(iv.buffer).setUint32(PREFIX_SIZE, number);
    iv[11] = last ? 1 : 0;
    yield { at, end: Math.min(at + size, length), iv, last };
  }
}

function associatedData(conversationId, guid, index) {
  const number = (value) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
    return bytes;
  };
  const text = new TextEncoder().encode(guid);
  return joined([number(MAGIC.length), new TextEncoder().encode(MAGIC), number(conversationId), number(text.length), text, number(index)]);
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

if (typeof window !== "undefined") {
  window.FlipletChatFiles = { sealFile, openFile };
}
