package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// Option changes how [Open] and [New] work.
type Option func(*config)

type config struct {
	schema, prefix, namespace string
	idle                      time.Duration
}

// Schema is the schema of the database that has the tables. Default "fliplet_chat". It is
// made if there is none. The name has 1 to 63 lower case letters, digits and underscores,
// the first of which is no digit.
func Schema(name string) Option { return func(c *config) { c.schema = name } }

// TablePrefix is put before the names of the tables: "eu_" makes eu_store, eu_store_watch
// and eu_store_version. Default none. It has up to 40 characters, as for [Schema].
func TablePrefix(prefix string) Option { return func(c *config) { c.prefix = prefix } }

// Namespace keeps the keys of this Store apart from those of others in the same tables.
// Default "". It is text of up to 200 bytes without NUL.
func Namespace(name string) Option { return func(c *config) { c.namespace = name } }

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func (c config) check() error {
	switch {
	case len(c.schema) > 63 || !identifier.MatchString(c.schema) || strings.HasPrefix(c.schema, "pg_"):
		return fmt.Errorf("pgstore: Schema is %.80q; give 1 to 63 lower case letters, digits and underscores that begin with no digit and not with pg_", c.schema)
	case c.prefix != "" && (len(c.prefix) > 40 || !identifier.MatchString(c.prefix)):
		return fmt.Errorf("pgstore: TablePrefix is %.80q; give up to 40 lower case letters, digits and underscores that begin with no digit", c.prefix)
	case len(c.namespace) > 200 || !utf8.ValidString(c.namespace) || strings.ContainsRune(c.namespace, 0):
		return fmt.Errorf("pgstore: Namespace is %.80q, of %d bytes; give text of up to 200 bytes without NUL", c.namespace, len(c.namespace))
	case c.idle < time.Second || c.idle > time.Hour:
		return fmt.Errorf("pgstore: IdleTimeout is %v; give 1s to 1h", c.idle)
	}
	return nil
}

// Store is a [storage.Store] in PostgreSQL. It is safe for concurrent use.
type Store struct {
	pool         *pgxpool.Pool
	own          bool // the pool is closed with the Store
	namespace    string
	sql          statements
	transactions pgx.TxOptions
	closed       atomic.Bool
	listener     listener
}

var (
	_ storage.Store         = (*Store)(nil)
	_ storage.Lister        = (*Store)(nil)
	_ storage.Transactional = (*Store)(nil)
	_ storage.Watcher       = (*Store)(nil)
)

// connectWithin is how long [Open] waits for a server, unless the DSN or ctx says less.
const connectWithin = 10 * time.Second

// Open connects to a database, and makes the tables if there are none. dsn is a URL
// ("postgres://user:password@host/database?sslmode=verify-full") or keywords and values
// ("host=… user=… dbname=…"); what it leaves out comes from the PG* variables of the
// environment, as for psql. It may have the parameters of package pgxpool, such as
// pool_max_conns.
//
// Errors, none of which has the password: a DSN or an option that cannot be used; a server
// that cannot be reached, which is not waited for (an attempt takes up to 10 s, or
// connect_timeout of the DSN); [ErrNewerSchema]; those of the server.
func Open(ctx context.Context, dsn string, opts ...Option) (*Store, error) {
	if strings.TrimSpace(dsn) == "" {
		return nil, errors.New("pgstore: dsn is empty; give one such as postgres://user@host/database")
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil { // it may quote a password
		return nil, errors.New("pgstore: dsn cannot be read; give one such as postgres://user:password@host:5432/database, with special characters of the password percent-encoded, or host=… user=… dbname=…")
	}
	if t := cfg.ConnConfig.ConnectTimeout; t <= 0 || t > connectWithin {
		cfg.ConnConfig.ConnectTimeout = connectWithin
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, explain("open", err)
	}
	s, err := New(ctx, pool, opts...)
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.own = true
	return s, nil
}

// New is [Open] with a pool of connections that the caller has made, and closes after the
// Store. Whoever waits for a key (see [Store.Watch]) uses a connection besides, with the
// configuration of the pool.
//
// Errors: a nil pool, and as Open.
func New(ctx context.Context, pool *pgxpool.Pool, opts ...Option) (*Store, error) {
	if pool == nil {
		return nil, errors.New("pgstore: pool is nil; give one of package pgxpool, or use Open")
	}
	cfg := config{schema: "fliplet_chat", idle: idle}
	for _, o := range opts {
		if o != nil {
			o(&cfg)
		}
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s := &Store{pool: pool, namespace: cfg.namespace, transactions: transactions(cfg.idle)}
	table := func(name string) string { return pgx.Identifier{cfg.schema, cfg.prefix + name}.Sanitize() }
	names := tables{schema: cfg.schema, store: table("store"), watch: table("store_watch"), version: table("store_version"), versions: cfg.prefix + "store_version"}
	hash := sha256.Sum256([]byte(names.store))
	s.sql = newStatements(names, "fliplet_chat_"+hex.EncodeToString(hash[:8]), cfg.idle)
	s.listener.store = s
	if err := s.migrate(ctx, names); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends what waits, and closes the connections that [Open] has made, after the calls
// under way. Calls after that return [ErrClosed]. Closing again does nothing.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.listener.close()
	if s.own {
		s.pool.Close()
	}
	return nil
}

// String names the tables, and not the server.
func (s *Store) String() string { return "pgstore " + s.sql.tables.store }

// Format prints no password.
func (s *Store) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) } //nolint:errcheck // as fmt itself
