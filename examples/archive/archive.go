package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	_ "modernc.org/sqlite" // registers the driver, which needs no C compiler
)

// archive keeps every message of an app in SQLite, each with all its versions: what
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

// follow archives from the beginning of every conversation of the app, until ctx ends. Its
// position is in the Storage of the App, and moves only after a version is on the
// disk: a process that is killed goes on where it was.
func (a *archive) follow(ctx context.Context, app *chat.App, client *datasource.Client) error {
	if err := a.reconcile(ctx, app, client); err != nil {
		return err
	}
	err := app.Consume(ctx, "archive", a.add,
		chat.StartAt(chat.FromBeginning), chat.WithoutReadMarks(), chat.MaxAttempts(10), chat.DeadLetter(a.putAside),
		chat.OnGap(func(g chat.Gap) { a.log.Warn("not archived", "gap", g.String()) }))
	if ctx.Err() != nil {
		return nil // it was asked to end
	}
	return err
}

// reconcile asks for what was deleted since 4 hours before the last version: an App finds some
// deletions up to 3 hours later, and does not tell afterwards what it has not found when the
// process ends. It takes a request for each conversation in which something has happened since.
func (a *archive) reconcile(ctx context.Context, app *chat.App, client *datasource.Client) error {
	var since sql.NullString
	err := a.db.QueryRowContext(ctx, `SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(at), '-4 hours') FROM versions`).Scan(&since)
	if err != nil || !since.Valid {
		return err
	}
	conversations, err := app.Conversations(ctx)
	if err != nil {
		return err
	}
	for _, conv := range conversations {
		if conv.UpdatedAt.UTC().Format(timestamp) < since.String {
			break // the latest activity comes first
		}
		found, err := client.Select(ctx, conv.ID, datasource.Query{UpdatedAt: chat.M{"$gte": since.String}, Limit: 1})
		if err != nil {
			return fmt.Errorf("conversation %d: %w", conv.ID, err)
		}
		for _, gone := range found.Deleted { // all of them, whatever the Limit
			_, err := a.db.ExecContext(ctx, `
				INSERT INTO versions
				SELECT conversation, message, ?2, 'deletion', author, '', '', 'null' FROM messages WHERE message = ?1`,
				gone.ID, cmp.Or(gone.UpdatedAt, time.Now()).UTC().Format(timestamp))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// add stores one version of a message. Whether it is the first, or a deletion that is known, is
// asked of the archive: after a crash a message may come as new a second time, with an edit made
// meanwhile.
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
		WHERE ?4 <> 'deletion' OR NOT EXISTS (SELECT 1 FROM versions WHERE message = ?2 AND kind = 'deletion') ON CONFLICT DO NOTHING`,
		m.ConversationID, m.ID, m.UpdatedAt.UTC().Format(timestamp), kind, m.FromUserID, m.Body, why, string(columns))
	return err
}

// putAside notes a message that could not be stored, so that those behind it can be.
func (a *archive) putAside(ctx context.Context, m *chat.Message, failed error) error {
	a.log.Error("put aside", "message", m.ID, "error", failed)
	_, err := a.db.ExecContext(ctx, `INSERT OR REPLACE INTO aside VALUES (?, ?, ?)`, m.ID, m.ConversationID, failed.Error())
	return err
}
