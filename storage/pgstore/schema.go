package pgstore

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// migrations are the steps from nothing to the tables of this version, one file each.
//
//go:embed migrations/*.sql
var migrations embed.FS

// latest is the version of the tables that this package makes and uses.
const latest = 1

// tables are the names of the tables, quoted, and some without quotes.
type tables struct{ store, watch, version, schema, versions string }

func (t tables) replace(sql string) string {
	return strings.NewReplacer("{store}", t.store, "{watch}", t.watch, "{version}", t.version).Replace(sql)
}

// migrate brings the tables to the latest version. Of processes that start at once one does
// it, and the others wait.
func (s *Store) migrate(ctx context.Context, t tables) error {
	// Most of the time nothing is to be done, which needs no lock and no rights.
	found, err := schemaVersion(ctx, s.pool, t)
	if err == nil && found < latest {
		err = pgx.BeginTxFunc(ctx, s.pool, readCommitted, func(tx pgx.Tx) error { return s.upgrade(ctx, tx, t) })
	} else if err == nil {
		err = refuseNewer(found, t)
	}
	if err != nil && !errors.Is(err, ErrNewerSchema) {
		return s.failed(ctx, "open", err)
	}
	return err
}

func refuseNewer(found int, t tables) error {
	if found > latest {
		return fmt.Errorf("%w: %s is of version %d, this program knows versions up to %d; upgrade the program, or give another Schema or TablePrefix", ErrNewerSchema, t.store, found, latest)
	}
	return nil
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion is the version of the tables, 0 if there are none.
func schemaVersion(ctx context.Context, q querier, t tables) (version int, err error) {
	var exists bool
	// By the rows of the catalogue: what a session has looked up by name it may remember,
	// although somebody else has made the table since.
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)", t.schema, t.versions).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	return version, q.QueryRow(ctx, t.replace("SELECT coalesce(max(version), 0) FROM {version}")).Scan(&version)
}

// upgrade makes the steps that are missing, under a lock of the schema.
func (s *Store) upgrade(ctx context.Context, tx pgx.Tx, t tables) error {
	hash := sha256.Sum256([]byte("fliplet-chat pgstore " + t.schema))
	lock := int64(binary.BigEndian.Uint64(hash[:8])) //nolint:gosec // any number will do
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", lock); err != nil {
		return err
	}
	found, err := schemaVersion(ctx, tx, t)
	if err != nil {
		return err
	}
	if found >= latest { // somebody else was first
		return refuseNewer(found, t)
	}
	var exists bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", t.schema).Scan(&exists); err != nil {
		return err
	}
	if !exists { // IF NOT EXISTS would need the right to make one all the same
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{t.schema}.Sanitize()); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, t.replace("CREATE TABLE IF NOT EXISTS {version} (version integer PRIMARY KEY, made timestamptz NOT NULL DEFAULT now())")); err != nil {
		return err
	}
	for v := found + 1; v <= latest; v++ {
		step, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", v))
		if err != nil {
			return err
		}
		if _, err := tx.Conn().PgConn().Exec(ctx, t.replace(string(step))).ReadAll(); err != nil {
			return fmt.Errorf("version %d: %w", v, err)
		}
		if _, err := tx.Exec(ctx, t.replace("INSERT INTO {version} (version) VALUES ($1)"), v); err != nil {
			return err
		}
	}
	return nil
}
