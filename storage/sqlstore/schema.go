package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
)

// migrations has a file for each version of the tables: what makes it of the one before.
//
//go:embed migrations
var migrations embed.FS

// schemaVersion is what this program makes and knows.
const schemaVersion = 1

// migrate makes the tables, or those of an earlier version those of this one.
func (s *Store) migrate(ctx context.Context) error {
	// Without a look first, each opening would wait for whoever writes.
	if v, err := s.version(ctx, s.db); err != nil || v == schemaVersion {
		return err
	}
	return s.locked(ctx, func(tx *sql.Tx) error {
		v, err := s.version(ctx, tx)
		if err != nil {
			return err
		}
		for v++; v <= schemaVersion; v++ {
			text, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", v))
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("migration %d: %w", v, err)
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE fliplet_chat_schema SET version = ?`, schemaVersion)
		return err
	})
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// version is that of the tables, 0 without any.
func (s *Store) version(ctx context.Context, q querier) (v int64, err error) {
	var tables int
	err = s.patiently(ctx, func() error {
		return q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'fliplet_chat_schema'`).Scan(&tables)
	})
	if err != nil || tables == 0 {
		return 0, err
	}
	err = s.patiently(ctx, func() error {
		return q.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM fliplet_chat_schema`).Scan(&v)
	})
	switch {
	case err != nil:
		return 0, err
	case v > schemaVersion:
		return 0, fmt.Errorf("%w: they have version %d, and this program knows up to %d: use a newer one", ErrVersion, v, schemaVersion)
	case v < 0:
		return 0, fmt.Errorf("%w: they have version %d", ErrVersion, v)
	}
	return v, nil
}
