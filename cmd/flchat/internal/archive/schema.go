package archive

// applicationID is in the header of each archive, so that other files of SQLite are not taken
// for one.
const applicationID = 0x464c4348 // "FLCH"

// Version is that of the tables, the user_version of the file. Format 1 had no hash of the table
// meta; it is read, and the next export makes it 2.
const Version = 2

// oldest is the first format that is read.
const oldest = 1

// schema: everything but the column seq is in the hash of a record.
const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records (
	seq      INTEGER PRIMARY KEY, -- in which they were written
	chain    INTEGER NOT NULL,    -- the conversation; 0 for contacts
	n        INTEGER NOT NULL,    -- the place in the chain, from 1
	kind     TEXT    NOT NULL,    -- new, edit, read, deletion, file, gap, conversation, contact, contact-gone
	item     INTEGER NOT NULL,    -- the id of the message, the contact or the conversation
	first    INTEGER NOT NULL,    -- 1: the first record of a message
	created  TEXT    NOT NULL,    -- of the item, by the server's clock
	at       TEXT    NOT NULL,    -- of the change
	author   TEXT    NOT NULL,    -- the flUserId
	guid     TEXT    NOT NULL,
	body     TEXT    NOT NULL,    -- the text; of a file its URL; of a conversation its name
	readers  TEXT    NOT NULL,    -- flUserIds, as JSON
	files    TEXT    NOT NULL,    -- URLs, as JSON
	columns  TEXT    NOT NULL,    -- everything else, as JSON
	protection TEXT  NOT NULL,    -- of the stored body
	note     TEXT    NOT NULL,    -- why the body is not the text, why a file is missing, what a gap is
	hash     BLOB    NOT NULL     -- SHA-256 of the columns above but seq, and of the hash before
) STRICT;
CREATE INDEX records_item ON records (item, seq);
CREATE INDEX records_order ON records (chain, created, item) WHERE first = 1;
CREATE INDEX records_people ON records (chain, item, seq) WHERE kind IN ('conversation', 'contact', 'contact-gone');
CREATE INDEX records_gaps ON records (seq) WHERE kind = 'gap';
CREATE INDEX records_files ON records (seq) WHERE files <> '';
CREATE TABLE heads ( -- the ends of the chains
	chain INTEGER PRIMARY KEY,
	n     INTEGER NOT NULL,
	hash  BLOB    NOT NULL
) STRICT;
CREATE TABLE blobs ( -- attachments, in parts
	hash  TEXT    NOT NULL, -- SHA-256 of the whole, hexadecimal
	part  INTEGER NOT NULL, -- from 0
	bytes BLOB    NOT NULL,
	PRIMARY KEY (hash, part)
) STRICT, WITHOUT ROWID;
`

// The kinds of records.
const (
	KindNew          = "new"          // a message, as it was first seen
	KindEdit         = "edit"         // its next version
	KindRead         = "read"         // nothing but its readers have changed
	KindDeletion     = "deletion"     // it was deleted
	KindFile         = "file"         // an attachment of a message
	KindGap          = "gap"          // something that could not be read
	KindConversation = "conversation" // what a conversation is, each time that this has changed
	KindContact      = "contact"      // a contact, each time that it has changed
	KindContactGone  = "contact-gone" // a contact that is not there any more
)

// Record is one line of the log.
type Record struct {
	Seq, Chain, N             int64
	Kind                      string
	Item                      int64
	First                     bool
	Created, At, Author, GUID string
	Body                      string
	Readers, Files, Columns   string // JSON
	Protection, Note          string
	Hash                      []byte
}

// columns are those of a record in the order of scan.
const columns = `seq, chain, n, kind, item, first, created, at, author, guid, body, readers, files, columns, protection, note, hash`

func (r *Record) scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&r.Seq, &r.Chain, &r.N, &r.Kind, &r.Item, &r.First, &r.Created, &r.At, &r.Author, &r.GUID, &r.Body, &r.Readers, &r.Files, &r.Columns, &r.Protection, &r.Note, &r.Hash)
}

// timestamp has a fixed width, so that times are in order as text.
const timestamp = "2006-01-02T15:04:05.000Z"
