package archive

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
)

// field is one column of a record that its hash covers.
type field struct {
	name  string
	bytes []byte
}

// fields are the columns that the hash covers, in the order in which it does.
func (r *Record) fields() []field {
	first := "0"
	if r.First {
		first = "1"
	}
	return []field{
		{"chain", strconv.AppendInt(nil, r.Chain, 10)},
		{"n", strconv.AppendInt(nil, r.N, 10)},
		{"kind", []byte(r.Kind)},
		{"item", strconv.AppendInt(nil, r.Item, 10)},
		{"first", []byte(first)},
		{"created", []byte(r.Created)},
		{"at", []byte(r.At)},
		{"author", []byte(r.Author)},
		{"guid", []byte(r.GUID)},
		{"body", []byte(r.Body)},
		{"readers", []byte(r.Readers)},
		{"files", []byte(r.Files)},
		{"columns", []byte(r.Columns)},
		{"protection", []byte(r.Protection)},
		{"note", []byte(r.Note)},
	}
}

// hashVersion begins what is hashed: other columns would be another version.
const hashVersion = "flchat archive 1\n"

// hashOf is the hash of a record behind the one of which the hash is before. Each column has
// its length in front, so that no byte can move to the next one.
func hashOf(before []byte, fields []field) []byte {
	sum := sha256.New()
	sum.Write([]byte(hashVersion))
	sum.Write(binary.AppendUvarint(nil, uint64(len(before))))
	sum.Write(before)
	for _, f := range fields {
		sum.Write(binary.AppendUvarint(nil, uint64(len(f.bytes))))
		sum.Write(f.bytes)
	}
	return sum.Sum(nil)
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// execer writes as well.
type execer interface {
	queryer
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// appendRecord writes a record at the end of its chain, and sets its N and Hash.
func appendRecord(ctx context.Context, tx execer, r *Record) error {
	var before []byte
	err := tx.QueryRowContext(ctx, `SELECT n, hash FROM heads WHERE chain = ?`, r.Chain).Scan(&r.N, &before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	r.N++
	r.Hash = hashOf(before, r.fields())
	if _, err = tx.ExecContext(ctx, `INSERT INTO records (chain, n, kind, item, first, created, at, author, guid, body, readers, files, columns, protection, note, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Chain, r.N, r.Kind, r.Item, r.First, r.Created, r.At, r.Author, r.GUID, r.Body, r.Readers, r.Files, r.Columns, r.Protection, r.Note, r.Hash); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO heads VALUES (?, ?, ?) ON CONFLICT (chain) DO UPDATE SET n = excluded.n, hash = excluded.hash`, r.Chain, r.N, r.Hash)
	return err
}

// column reads what a query of one column gives, as a list.
func column[T any](ctx context.Context, db queryer, query string, args ...any) (list []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// seal is the hash of the ends of all chains, and of where the chats come from.
func seal(ctx context.Context, db queryer) (string, error) {
	sum := sha256.New()
	if err := sealSource(ctx, db, sum); err != nil {
		return "", err
	}
	rows, err := db.QueryContext(ctx, `SELECT chain, n, hash FROM heads ORDER BY chain`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var chain, n int64
		var hash []byte
		if err := rows.Scan(&chain, &n, &hash); err != nil {
			return "", err
		}
		sum.Write(strconv.AppendInt(nil, chain, 10))
		sum.Write([]byte{' '})
		sum.Write(strconv.AppendInt(nil, n, 10))
		sum.Write([]byte{' '})
		sum.Write(hash)
		sum.Write([]byte{'\n'})
	}
	return hex.EncodeToString(sum.Sum(nil)), rows.Err()
}
