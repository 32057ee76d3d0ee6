// Authenticated message bodies for Fliplet chat: what the Go SDK seals, a Fliplet screen can open, and the other way round.
//
// WebCrypto only. Runs in browsers (a secure context: https or localhost) and in Node 20 or later.
//
//   import { seal, open, looksAuthenticated, keyId } from "./envelope.js";
//   const stored = await seal("2024-05", key, conversationId, guid, fromUserId, "Hello team!");
//   const text = await open("2024-05", key, conversationId, guid, fromUserId, stored);
//
// In a screen whose code is not a module, load the file with <script type="module" src="envelope.js"></script>
// and use window.FlipletChatEnvelope, which holds the same functions.
//
// Format, version 2:  flsealed:2:<key id>:<base64url without padding of nonce(12) || ciphertext || tag(16)>
// AES-256-GCM with a random nonce. The associated data is, every number as 8 bytes big-endian:
//   len("flsealed:2") || "flsealed:2" || len(key id) || key id || conversation id || len(guid) || guid || len(sender) || sender
// Version 1, which is opened and no longer written, ends with the guid: it does not bind the sender.

const MARKER = "flsealed:";
const NONCE_SIZE = 12;
const TAG_SIZE = 16;
const SHAPE = /^flsealed:([12]):([A-Za-z0-9._-]{1,64}):([A-Za-z0-9_-]{38,})$/; // 38 characters hold a nonce and a tag

/** Why a call failed: code is "unauthentic" for everything open refuses, else "bad-" and the name of the argument. */
export class EnvelopeError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "EnvelopeError";
    this.code = code;
  }
}

/** Whether stored claims to be an authenticated envelope of any version. Such text is never plain, even if it does not open. */
export function looksAuthenticated(stored) {
  return typeof stored === "string" && stored.startsWith(MARKER);
}

/** The id of the key that an envelope names, or null. Use it to choose a key; only open() proves it. */
export function keyId(stored) {
  const parts = split(stored);
  return parts && parts.id;
}

/**
 * Encrypts text, any string without lone surrogates, for one message of one conversation.
 * @param {string} id 1 to 64 characters of A-Z a-z 0-9 . _ -
 * @param {Uint8Array} keyBytes 32 bytes
 * @param {number|bigint|string} conversationId the id of the conversation's data source
 * @param {string} guid the message's guid column, "" if it has none
 * @param {string} sender the message's fromUserId column, "" if it has none
 * @returns {Promise<string>} the text to store in the body column
 */
export async function seal(id, keyBytes, conversationId, guid, sender, text) {
  if (typeof id !== "string" || !/^[A-Za-z0-9._-]{1,64}$/.test(id)) {
    throw new EnvelopeError("bad-key-id", "key id: use 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore and hyphen");
  }
  const additionalData = associatedData(2, id, conversationId, guid, sender);
  const plaintext = utf8("text", text);
  const key = await importKey(keyBytes, "encrypt");
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_SIZE));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, plaintext);
  const body = new Uint8Array(NONCE_SIZE + sealed.byteLength);
  body.set(iv);
  body.set(new Uint8Array(sealed), NONCE_SIZE);
  return `${MARKER}2:${id}:${toBase64(body)}`;
}

/**
 * Decrypts what seal, here or in the Go SDK, made with the same five arguments, of either version. Whatever is wrong with stored, it
 * rejects with the one code "unauthentic".
 * @returns {Promise<string>}
 */
export async function open(id, keyBytes, conversationId, guid, sender, stored) {
  const parts = split(stored);
  const additionalData = associatedData(parts ? parts.version : 2, id, conversationId, guid, sender);
  const key = await importKey(keyBytes, "decrypt");
  const body = parts && parts.id === id ? fromBase64(parts.encoded) : null;
  if (body && body.length >= NONCE_SIZE + TAG_SIZE) {
    try {
      const iv = body.subarray(0, NONCE_SIZE);
      const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, body.subarray(NONCE_SIZE));
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain);
    } catch {
      // Falls through: the reason is not told.
    }
  }
  throw new EnvelopeError("unauthentic", "not sealed under this key for this conversation, guid and sender");
}

function split(stored) {
  const match = typeof stored === "string" ? SHAPE.exec(stored) : null;
  return match && { version: Number(match[1]), id: match[2], encoded: match[3] };
}

async function importKey(keyBytes, usage) {
  if (!(keyBytes instanceof Uint8Array) || keyBytes.length !== 32) {
    throw new EnvelopeError("bad-key", "key: it takes a Uint8Array of 32 bytes");
  }
  return crypto.subtle.importKey("raw", keyBytes, "AES-GCM", false, [usage]);
}

function utf8(name, value) {
  // TextEncoder would turn lone surrogates into U+FFFD, so that another string came back.
  if (typeof value !== "string" || /\p{Surrogate}/u.test(value)) {
    throw new EnvelopeError("bad-" + name, name + ": it must be a string without lone surrogates");
  }
  return new TextEncoder().encode(value);
}

function associatedData(version, id, conversationId, guid, sender) {
  let conversation = 0n;
  try {
    if (typeof conversationId !== "number" || Number.isSafeInteger(conversationId)) conversation = BigInt(conversationId);
  } catch {
    // Stays zero, which is refused.
  }
  if (conversation <= 0n || conversation > 0x7fffffffffffffffn) {
    throw new EnvelopeError("bad-conversation-id", "conversation id: it must be a positive whole number");
  }
  const number = (value) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
    return bytes;
  };
  const field = (bytes) => [number(bytes.length), bytes];
  const from = field(utf8("sender", sender));
  const parts = [...field(utf8("name", MARKER + version)), ...field(utf8("key-id", id)), number(conversation), ...field(utf8("guid", guid))];
  if (version > 1) parts.push(...from);
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function toBase64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) { // a call takes only so many arguments
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64(encoded) {
  if (encoded.length % 4 === 1) return null;
  const bytes = Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return toBase64(bytes) === encoded ? bytes : null; // one spelling only: atob ignores the bits left over
}

if (typeof window !== "undefined") {
  window.FlipletChatEnvelope = { seal, open, looksAuthenticated, keyId, EnvelopeError };
}
