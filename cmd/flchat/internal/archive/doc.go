// Package archive keeps the chats of a person in one file of SQLite: every message with every
// version that a poll could see, deletions, contacts, conversations and attachments.
//
// The file is a log. A record is written once and never changed; what is there now is the
// newest record of a message. The records of a conversation, and those of the contacts, are a
// chain: each has the SHA-256 of its columns and of the record before it. [Verify] reads the
// chains again. The [Seal] of a file is the hash of the ends of its chains: two archives with
// the same content have the same, however often their exports were interrupted.
//
// Records and the position up to which they were read are written in one transaction, so a
// process that is killed loses nothing and doubles nothing. The file holds no token and no key.
package archive
