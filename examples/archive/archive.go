package main

import (
	"context"
	"encoding/json"
	"log/slog"

	_ "modernc.org/sqlite" // registers the driver, which needs no C compiler

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// archive keeps every message of an app in SQLite, each with all its versions: what
// it said first, every edit, and that it was deleted.
type archive struct {
	store *sqlstore.Store // has the position, in the same file
	log   *slog.Logger
}

// schema has no key that refuses what comes twice: nothing does, since a row and the position
// of the consumer are committed together.
const schema = `
CREATE TABLE IF NOT EXISTS versions (
	conversation INTEGER NOT NULL,
	message      INTEGER NOT NULL,
	at           TEXT    NOT NULL, -- of the change, by the server's clock
	kind         TEXT    NOT NULL, -- new, edit or deletion
	author       TEXT    NOT NULL,
	body         TEXT    NOT NULL,
	unreadable   TEXT    NOT NULL, -- why body is not the text, or ''
	columns      TEXT    NOT NULL  -- all of them, as JSON
);
CREATE INDEX IF NOT EXISTS versions_of ON versions (message);
CREATE VIEW IF NOT EXISTS messages AS -- as they are now
	SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY message ORDER BY kind = 'deletion' DESC, at DESC, rowid DESC) AS n FROM versions)
	WHERE n = 1 AND kind <> 'deletion';
CREATE TABLE IF NOT EXISTS aside (message INTEGER NOT NULL, conversation INTEGER NOT NULL, error TEXT NOT NULL);
`

// timestamp has a fixed width, so that times are in order as text.
const timestamp = "2006-01-02T15:04:05.000Z"

// openArchive opens a file, or makes one, for this process alone. What was written survives
// a crash of the machine.
func openArchive(ctx context.Context, path string) (*archive, error) {
	store, err := sqlstore.Open(ctx, path, sqlstore.Alone())
	if err != nil {
		return nil, err
	}
	if _, err := store.DB().ExecContext(ctx, schema); err != nil {
		store.Close()
		return nil, err
	}
	return &archive{store: store, log: slog.New(slog.DiscardHandler)}, nil
}

func (a *archive) close() error { return a.store.Close() }

// follow archives from the beginning of every conversation of the app, until ctx ends. Its
// position is in the Storage of the App, which is the archive: a process that is killed goes
// on where it was, and hears of what was deleted meanwhile.
func (a *archive) follow(ctx context.Context, app *chat.App) error {
	return app.Consume(ctx, "archive", a.add,
		chat.StartAt(chat.FromBeginning), chat.WithoutReadMarks(), chat.MaxAttempts(10), chat.DeadLetter(a.putAside), chat.UntilDone(),
		chat.OnGap(func(g chat.Gap) { a.log.Warn("not archived", "gap", g.String()) }))
}

// add stores one version of a message, in the transaction that moves the position.
func (a *archive) add(ctx context.Context, m *chat.Message) error {
	tx, err := sqlstore.Tx(ctx)
	if err != nil {
		return err
	}
	kind, why := "new", ""
	switch {
	case m.IsDeleted:
		kind = "deletion"
	case m.IsUpdate:
		kind = "edit"
	}
	if m.Err != nil {
		why = m.Err.Error()
	}
	columns, err := json.Marshal(m.Data)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ConversationID, m.ID, m.UpdatedAt.UTC().Format(timestamp), kind, m.FromUserID, m.Body, why, string(columns))
	return err
}

// putAside notes a message that could not be stored, so that those behind it can be.
func (a *archive) putAside(ctx context.Context, m *chat.Message, failed error) error {
	a.log.Error("put aside", "message", m.ID, "error", failed)
	tx, err := sqlstore.Tx(ctx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO aside VALUES (?, ?, ?)`, m.ID, m.ConversationID, failed.Error())
	return err
}
