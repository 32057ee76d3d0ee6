// Package envelope reads and writes the two formats in which a message body may be stored encrypted, and the format of
// sealed files. Callers
// decide where a key comes from, how long it is kept and which one a conversation uses. The package imports the
// standard library only.
//
// # The passphrase format
//
// [SealPassphrase] and [OpenPassphrase] use the format of CryptoJS.AES.encrypt(text, passphrase).toString(), which
// "openssl enc -aes-256-cbc -md md5 -a" writes on one line, too. It is here because Fliplet's JavaScript reads it. It
// is weak: one round of MD5 makes guessing a passphrase cheap, and nothing is authenticated. A person who can change a
// stored row can cut it short, replace it, move it to another conversation, and flip chosen bits of one block while
// garbling the block before, and the reader may not notice. [SealRaw] and [OpenRaw] are the same cipher with a key and
// IV used as they are.
//
// Readers are strict where crypto-js is lenient, and say which check failed. The checks run in this order:
//
//  1. [KindNotEncrypted]: the text does not begin with U2FsdGVkX1, or it is base64 and its bytes do not begin with
//     "Salted__" (passphrase format only);
//  2. [KindBadBase64]: not canonical standard base64;
//  3. [KindTruncated]: the 16 header bytes are not all there, no body, or a body that is not whole blocks;
//  4. [KindBadPadding]: the PKCS#7 padding is wrong in any byte;
//  5. [KindBadUTF8]: the result is not UTF-8.
//
// A reader who answers an attacker with these kinds is a padding oracle. They are meant for the owner of the data:
// show them locally, never send them back.
//
// # The authenticated envelope
//
// An [AEAD] seals with AES-256-GCM. Version 2 of the envelope is one line of ASCII that needs no escaping in JSON,
// HTML or a URL query:
//
//	flsealed:2:<key id>:<base64url, no padding, of nonce(12) || ciphertext || tag(16)>
//
// The nonce is random. The associated data binds the body to its conversation, guid and sender, so that a row cannot be
// copied to another conversation, guid or sender. Every length and the conversation id are 8 bytes, big-endian:
//
//	len("flsealed:2") || "flsealed:2" || len(key id) || key id || conversation id || len(guid) || guid || len(sender) || sender
//
// Version 1 is read and no longer written. It has "flsealed:1" in both places and ends with the guid: whoever can write
// rows can copy such a body into a new row of another sender.
//
// Random nonces allow 2^32 bodies under one key before a repeat becomes more likely than 2^-32 (NIST SP 800-38D);
// rotate keys well before. What it does not hide: the length of the text, the key id, and who wrote when. What it
// does not prevent: withholding a row, bringing back an older version of the same row, storing the same row again, or
// putting unencrypted text in its place. The sender is bound and not proven: everybody who has the key can seal for any.
//
// [AEAD.Open] has one kind for every failure, [KindUnauthentic], also for text that is not an envelope. Anyone can see
// in the stored text that a marker, a version or a key id is wrong; the check of the tag covers everything else.
//
// # Which text is plain
//
// Sources mix plain and encrypted bodies, so a reader has to decide what a stored text is. Sealing is never
// ambiguous: any UTF-8 text can be sealed, also one that looks like ciphertext. For opening, only the beginning
// decides:
//
//	text                                     LooksAuthenticated  KeyID       what it is
//	begins with anything else                false               "", false   plain, or the passphrase format
//	begins with flsealed:, header complete   true                id, true    an envelope
//	begins with flsealed:, anything else     true                "", false   malformed: damaged, cut, or a later version
//
// Malformed text is never plain. Otherwise an attacker who can cut a row short or insert a space could make a sealed
// body look like typed text, without a warning. The cost is small: a person who types a message that begins with the
// nine characters flsealed: into a conversation without encryption gets a warning beside the text.
// "the prefix is flsealed:" and "Flsealed: yes" are plain.
//
// A cut inside those nine characters leaves a text that reads as plain, just like any other text an attacker may
// write in its place. Whether a conversation that is meant to be sealed accepts plain text at all is the caller's rule.
//
// For the passphrase format the marker works the same way: "U2FsdGVkX1 is the prefix" is reported as
// [KindBadBase64], and a caller keeps showing the stored text beside that error. [KindNotEncrypted] alone means plain.
//
// # Sealed files
//
// [SealFile] and [OpenFile] work on streams: a file is cut into chunks of 65,536 bytes, the last of which may be shorter,
// and each is sealed with AES-256-GCM (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár). Only the
// chunk of an empty file is empty. Version 1 is
//
//	"flfile:1" || prefix(7) || ciphertext of chunk 0 || tag(16) || ciphertext of chunk 1 || tag(16) || …
//
// under a key that no other file has, with the nonce
//
//	prefix(7) || number of the chunk (4 bytes, big-endian, from 0) || 1 for the last chunk, otherwise 0
//
// and the associated data, which is the same for all chunks and in which every number takes 8 bytes, big-endian:
//
//	len("flfile:1") || "flfile:1" || conversation id || len(guid) || guid || index of the file in its message
//
// So a reader notices a chunk that was changed, moved, left out or added, the loss of the end, and a file that was moved
// to another conversation, message or place in its message. It passes on no byte that was not verified. The prefix is
// random, so that a file that is sealed twice repeats no nonce. The size of a file is not hidden.
package envelope
