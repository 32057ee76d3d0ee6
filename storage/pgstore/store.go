package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// maxKey is the length of keys that a [storage.Store] takes.
const maxKey = 1024

// statements are the texts of what a Store asks, with its tables.
type statements struct {
	tables             tables
	channel            string
	get, set, remove   string
	none               string
	swaps, fences      swaps // outside of a transaction and inside
	list, listTo       string
	watched, forgotten string
	writing            string
}

// swaps are the texts of swaps.
type swaps struct{ values, fromNothing, toNothing string }

func newStatements(t tables, channel string, idle time.Duration) statements {
	// A write tells those who wait for its key, if there are any: $1 is the namespace, $2
	// the key, $3 what the notification says. It returns one row if it has written.
	write := func(sql string) string {
		return t.replace("WITH written AS (" + sql + " RETURNING 1) SELECT CASE WHEN EXISTS (SELECT FROM {watch} WHERE namespace = $1 AND key = $2 AND until > now())" +
			" THEN pg_notify('" + channel + "', $3)::text END FROM written")
	}
	swap := func(write func(sql string) string) swaps {
		return swaps{
			values:      write("UPDATE {store} SET value = $5, version = version + 1, changed = now() WHERE namespace = $1 AND key = $2 AND value = $4"),
			fromNothing: write("INSERT INTO {store} (namespace, key, value) VALUES ($1, $2, $4) ON CONFLICT (namespace, key) DO NOTHING"),
			toNothing:   write("DELETE FROM {store} WHERE namespace = $1 AND key = $2 AND value = $4"),
		}
	}
	fence := func(sql string) string {
		return strings.Replace(write(sql), " FROM written", fmt.Sprintf(", set_config('idle_in_transaction_session_timeout', '%d', true) FROM written", min(idle, idleAfterSwap).Milliseconds()), 1)
	}
	const at = " WHERE namespace = $1 AND key = $2"
	return statements{
		tables: t, channel: channel,
		get: t.replace("SELECT value FROM {store}" + at),
		set: write("INSERT INTO {store} AS s (namespace, key, value) VALUES ($1, $2, $4)" +
			" ON CONFLICT (namespace, key) DO UPDATE SET value = EXCLUDED.value, version = s.version + 1, changed = now()"),
		remove: write("DELETE FROM {store}" + at),
		none:   t.replace("SELECT 1 WHERE NOT EXISTS (SELECT FROM {store}" + at + ")"),
		swaps:  swap(write), fences: swap(fence),
		list:   t.replace("SELECT key FROM {store} WHERE namespace = $1 AND key >= $2 ORDER BY key LIMIT $3"),
		listTo: t.replace("SELECT key FROM {store} WHERE namespace = $1 AND key >= $2 AND key < $4 ORDER BY key LIMIT $3"),
		watched: t.replace("INSERT INTO {watch} AS w (namespace, key, until) SELECT $1, k, now() + $3::interval FROM unnest($2::bytea[]) AS k" +
			" ON CONFLICT (namespace, key) DO UPDATE SET until = greatest(w.until, EXCLUDED.until)"),
		forgotten: t.replace("DELETE FROM {watch} WHERE (namespace, key) IN (SELECT namespace, key FROM {watch} WHERE until < now() - interval '1 hour' FOR UPDATE SKIP LOCKED)"),
		writing: "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = $1::text::regclass" +
			" AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode = 'RowExclusiveLock' AND granted" +
			" AND ($2::text[] IS NULL OR virtualtransaction = ANY($2))",
	}
}

// notice is what a notification says of a key: not its name, which has ids of users.
func (s *Store) notice(key string) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%d %s %s", len(s.namespace), s.namespace, key)
	return base64.RawStdEncoding.EncodeToString(hash.Sum(nil))
}

// runner runs one statement: a pool does, and a transaction.
type runner interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// begin refuses what is refused before anything is sent.
func (s *Store) begin(ctx context.Context, key string) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.closed.Load():
		return ErrClosed
	case key == "" || len(key) > maxKey:
		return fmt.Errorf("pgstore: key of %d bytes; give 1 to %d", len(key), maxKey)
	}
	return nil
}

// Get returns the value of a key, or an error that matches [storage.ErrNotFound].
func (s *Store) Get(ctx context.Context, key string) (value []byte, err error) {
	err = s.call(ctx, "get", key, reading, func() error {
		value, err = s.get(ctx, s.pool, key)
		return err
	})
	return value, err
}

// Set stores a value, replacing the one before. After an error of the connection it may be
// stored or not.
func (s *Store) Set(ctx context.Context, key string, value []byte) error {
	return s.call(ctx, "set", key, writing, func() error { return s.set(ctx, s.pool, key, value) })
}

// Delete removes a key. Errors: as Set.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.call(ctx, "delete", key, writing, func() error { return s.remove(ctx, s.pool, key) })
}

// CompareAndSwap stores new if the present value equals old, in one statement. Errors: as
// Set.
func (s *Store) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	err = s.call(ctx, "compare and swap", key, writing, func() error {
		swapped, err = s.swap(ctx, s.pool, s.sql.swaps, key, old, new)
		return err
	})
	return swapped && err == nil, err
}

// Whether a call that failed on its way may be made again.
const (
	reading = true
	writing = false
)

// attempts is how often a call is made that a lost connection does not harm.
const attempts = 3

// contendedFor is how long a call is made again that the server refused because of others, as it does
// where the isolation is a higher one by default; mostContended is the longest pause before that.
const contendedFor, mostContended = 10 * time.Second, 50 * time.Millisecond

// call runs one statement. It is run again when that changes nothing: when it only reads,
// or when the server rolled it back.
func (s *Store) call(ctx context.Context, name, key string, reads bool, statement func() error) error {
	if err := s.begin(ctx, key); err != nil {
		return err
	}
	var err error
	until := time.Now().Add(contendedFor)
	for n := 1; ; n++ {
		err = statement()
		if err == nil || errors.Is(err, storage.ErrNotFound) {
			return err
		}
		at := code(err)
		contended := (at == serialization || at == deadlock) && time.Now().Before(until)
		again := contended || n < attempts && reads && (at == "" || at == serverEnds)
		if _, away := errors.AsType[*pgconn.ConnectError](err); away || !again || ctx.Err() != nil {
			break
		}
		if contended {
			select {
			case <-ctx.Done():
			case <-time.After(rand.N(min(time.Duration(n)*time.Millisecond, mostContended))): //nolint:gosec // it is no secret
			}
		}
	}
	return s.failed(ctx, name, err)
}

func (s *Store) get(ctx context.Context, q runner, key string) ([]byte, error) {
	rows, err := q.Query(ctx, s.sql.get, s.namespace, []byte(key))
	if err != nil {
		return nil, err
	}
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("%w: %q", storage.ErrNotFound, key)
	}
	return value, err
}

func (s *Store) set(ctx context.Context, q runner, key string, value []byte) error {
	_, err := s.write(ctx, q, s.sql.set, key, bytesOf(value))
	return err
}

func (s *Store) remove(ctx context.Context, q runner, key string) error {
	_, err := s.write(ctx, q, s.sql.remove, key)
	return err
}

func (s *Store) swap(ctx context.Context, q runner, sql swaps, key string, old, new []byte) (bool, error) {
	switch {
	case old == nil && new == nil:
		tag, err := q.Exec(ctx, s.sql.none, s.namespace, []byte(key))
		return tag.RowsAffected() == 1, err
	case old == nil:
		return s.write(ctx, q, sql.fromNothing, key, new)
	case new == nil:
		return s.write(ctx, q, sql.toNothing, key, old)
	}
	return s.write(ctx, q, sql.values, key, old, new)
}

// write reports whether a statement has written.
func (s *Store) write(ctx context.Context, q runner, sql, key string, values ...any) (bool, error) {
	tag, err := q.Exec(ctx, sql, append([]any{s.namespace, []byte(key), s.notice(key)}, values...)...)
	return tag.RowsAffected() > 0, err
}

// bytesOf is a value that is not NULL.
func bytesOf(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
