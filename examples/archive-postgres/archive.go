package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore"
)

// The archive has no key that refuses what comes twice: nothing does, since a row and the
// position of the consumer are committed together.
const schema = `
CREATE TABLE IF NOT EXISTS archive (
	n            bigserial PRIMARY KEY, -- the order in which it was archived
	conversation bigint NOT NULL,
	message      bigint NOT NULL,
	kind         text   NOT NULL, -- new, edit or deletion
	at           timestamptz NOT NULL,
	author       text   NOT NULL,
	body         text   NOT NULL,
	columns      json   NOT NULL  -- all of them
);
CREATE TABLE IF NOT EXISTS aside (message bigint NOT NULL, conversation bigint NOT NULL, error text NOT NULL);
`

// archive keeps every message of an account in PostgreSQL, each once, with its edits and
// that it was deleted.
type archive struct {
	pool  *pgxpool.Pool
	store *pgstore.Store
	log   *slog.Logger
	added func() // is called in the transaction, after a row; may be nil
}

// replicasLock lets replicas that start at once make the tables one after the other.
const replicasLock = 7_426_001

// openArchive opens a database, and makes the tables if there are none. They are where the
// database puts tables, and the position is beside them, or all is in one schema.
func openArchive(ctx context.Context, dsn, inSchema string, log *slog.Logger) (*archive, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil { // it may quote the password
		return nil, errors.New("-database cannot be read; give one such as postgres://user:password@host/database")
	}
	var opts []pgstore.Option
	if inSchema != "" {
		cfg.ConnConfig.RuntimeParams["search_path"] = inSchema
		opts = append(opts, pgstore.Schema(inSchema))
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	a := &archive{pool: pool, log: log}
	if err := a.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	if a.store, err = pgstore.New(ctx, pool, opts...); err != nil {
		pool.Close()
		return nil, err
	}
	return a, nil
}

func (a *archive) prepare(ctx context.Context) error {
	tx, err := a.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after the commit there is nothing to undo
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", replicasLock); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, schema); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func (a *archive) close() {
	a.store.Close()
	a.pool.Close()
}

// follow archives from the beginning of every conversation, until ctx ends. Of several
// replicas one does, and another one takes over when it dies.
func (a *archive) follow(ctx context.Context, c *chat.Chat) error {
	return c.Consume(ctx, "archive", a.add, chat.StartAt(chat.FromBeginning), chat.WithoutReadMarks(), chat.Batch(50), chat.DeadLetter(a.putAside),
		chat.UntilDone(), chat.OnGap(func(g chat.Gap) { a.log.Warn("not archived", "gap", g.String()) }))
}

// add writes a row in the transaction that moves the position.
func (a *archive) add(ctx context.Context, m *chat.Message) error {
	tx, ok := pgstore.Tx(ctx)
	if !ok {
		return errors.New("the Storage of the Chat has no transactions")
	}
	kind := "new"
	switch {
	case m.IsDeleted:
		kind = "deletion"
	case m.IsUpdate:
		kind = "edit"
	}
	columns, err := json.Marshal(m.Data)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO archive (conversation, message, kind, at, author, body, columns) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		m.ConversationID, m.ID, kind, m.UpdatedAt, text(m.FromUserID), text(m.Body), string(columns))
	if err == nil && a.added != nil {
		a.added()
	}
	return err
}

// text is what PostgreSQL takes as text: a page may send what it does not.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// putAside notes a message that could not be stored, so that those behind it can be.
func (a *archive) putAside(ctx context.Context, m *chat.Message, failed error) error {
	a.log.Error("put aside", "message", m.ID, "error", failed)
	tx, ok := pgstore.Tx(ctx)
	if !ok {
		return errors.New("the Storage of the Chat has no transactions")
	}
	_, err := tx.Exec(ctx, "INSERT INTO aside VALUES ($1, $2, $3)", m.ID, m.ConversationID, text(failed.Error()))
	return err
}

// counts compares the archive with the number of messages that there are.
func (a *archive) counts(ctx context.Context, messages int) (string, error) {
	var rows, distinct int
	err := a.pool.QueryRow(ctx, "SELECT count(*), count(DISTINCT message) FROM archive WHERE kind = 'new'").Scan(&rows, &distinct)
	if err != nil {
		return "", err
	}
	said := "ok"
	if rows != messages || distinct != messages {
		said = "wrong"
	}
	return fmt.Sprintf("%s: %d messages, %d rows, %d lost, %d twice", said, messages, rows, messages-distinct, rows-distinct), nil
}
