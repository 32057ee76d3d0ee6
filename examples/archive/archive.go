package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	_ "modernc.org/sqlite" // registers the driver, which needs no C compiler
)

// archive keeps every message of an account in SQLite, each with all its versions: what
// it said first, every edit, and that it was deleted.
type archive struct {
	db  *sql.DB
	log *slog.Logger
}

// schema: a version is written once, whatever is repeated, so an event that comes again
// after a crash changes nothing.
const schema = `
CREATE TABLE IF NOT EXISTS versions (
	conversation INTEGER NOT NULL,
	message      INTEGER NOT NULL,
	at           TEXT    NOT NULL, -- of the change, by the server's clock
	kind         TEXT    NOT NULL, -- new, edit or deletion
	author       TEXT    NOT NULL,
	body         TEXT    NOT NULL,
	unreadable   TEXT    NOT NULL, -- why body is not the text, or ''
	columns      TEXT    NOT NULL, -- all of them, as JSON
	PRIMARY KEY (message, at, columns)
);
CREATE VIEW IF NOT EXISTS messages AS -- as they are now
	SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY message ORDER BY kind = 'deletion' DESC, at DESC, rowid DESC) AS n FROM versions)
	WHERE n = 1 AND kind <> 'deletion';
CREATE TABLE IF NOT EXISTS aside (message INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, error TEXT NOT NULL);
`

// timestamp has a fixed width, so that times are in order as text.
const timestamp = "2006-01-02T15:04:05.000Z"

// openArchive opens a file, or makes one. What was written survives a crash of the machine.
func openArchive(ctx context.Context, path string) (*archive, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		db.Close()
		return nil, err
	}
	return &archive{db: db, log: slog.New(slog.DiscardHandler)}, nil
}

func (a *archive) close() error { return a.db.Close() }

// follow archives from the beginning of every conversation, until ctx ends. Its
// position is in the Storage of the Chat, and moves only after a version is on the
// disk: a process that is killed goes on where it was.
func (a *archive) follow(ctx context.Context, c *chat.Chat) error {
	if err := a.reconcile(ctx, c); err != nil {
		return err
	}
	err := c.Consume(ctx, "archive", a.add,
		chat.StartAt(chat.FromBeginning), chat.WithoutReadMarks(), chat.MaxAttempts(10), chat.DeadLetter(a.putAside),
		chat.OnGap(func(g chat.Gap) { a.log.Warn("not archived", "gap", g.String()) }))
	if ctx.Err() != nil {
		return nil // it was asked to end
	}
	return err
}

// reconcile looks at the message that was stored last. If the process was killed between
// storing it and moving the position, the consumer has not had it, and so hears nothing of
// a deletion meanwhile. There is one such message at most, since they come one at a time.
func (a *archive) reconcile(ctx context.Context, c *chat.Chat) error {
	m := chat.Message{IsDeleted: true, UpdatedAt: time.Now().UTC()}
	err := a.db.QueryRowContext(ctx, `SELECT conversation, message, author FROM versions ORDER BY rowid DESC LIMIT 1`).
		Scan(&m.ConversationID, &m.ID, &m.FromUserID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	conv, err := c.Conversation(ctx, m.ConversationID)
	if errors.Is(err, chat.ErrNotFound) {
		return nil // left, or gone as a whole
	}
	if err != nil {
		return err
	}
	if _, err = conv.Messages().Get(ctx, m.ID); errors.Is(err, chat.ErrNotFound) {
		return a.add(ctx, &m)
	}
	return err
}

// add stores one version of a message. Whether it is the first is asked of the archive:
// after a crash a message may come as new a second time, with an edit made meanwhile.
func (a *archive) add(ctx context.Context, m *chat.Message) error {
	kind, why := "edit", ""
	if m.IsDeleted {
		kind = "deletion"
	}
	if m.Err != nil {
		why = m.Err.Error()
	}
	columns, err := json.Marshal(m.Data)
	if err != nil {
		return err
	}
	_, err = a.db.ExecContext(ctx, `
		INSERT INTO versions
		SELECT ?1, ?2, ?3, CASE WHEN ?4 = 'deletion' OR EXISTS (SELECT 1 FROM versions WHERE message = ?2) THEN ?4 ELSE 'new' END, ?5, ?6, ?7, ?8
		WHERE TRUE ON CONFLICT DO NOTHING`,
		m.ConversationID, m.ID, m.UpdatedAt.UTC().Format(timestamp), kind, m.FromUserID, m.Body, why, string(columns))
	return err
}

// putAside notes a message that could not be stored, so that those behind it can be.
func (a *archive) putAside(ctx context.Context, m *chat.Message, failed error) error {
	a.log.Error("put aside", "message", m.ID, "error", failed)
	_, err := a.db.ExecContext(ctx, `INSERT OR REPLACE INTO aside VALUES (?, ?, ?)`, m.ID, m.ConversationID, failed.Error())
	return err
}
