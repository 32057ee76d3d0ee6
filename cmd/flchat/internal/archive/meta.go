package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// sumName is the row of meta with the hash of what is in no chain: the other rows, and the
// position up to which messages were read.
const sumName = "sum"

// sourceNames are the rows that a [Source] is kept in, in the order in which the seal has them.
var sourceNames = []string{"api", "contacts", "primaryKey", "userId"}

// put adds bytes to a hash, with their length in front.
func put(sum hash.Hash, b []byte) {
	sum.Write(binary.AppendUvarint(nil, uint64(len(b))))
	sum.Write(b)
}

// metaSum is the hash of what is in no chain, as it is now.
func metaSum(ctx context.Context, db queryer) (string, error) {
	sum := sha256.New()
	sum.Write([]byte("flchat archive meta\n"))
	for _, query := range []string{
		`SELECT name, value FROM meta WHERE name <> '` + sumName + `' ORDER BY name`,
		`SELECT key, value FROM fliplet_chat_values ORDER BY key`,
	} {
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return "", err
		}
		for rows.Next() {
			var key, value sql.RawBytes
			if err := rows.Scan(&key, &value); err != nil {
				return "", errors.Join(err, rows.Close())
			}
			put(sum, key)
			put(sum, value)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return "", err
		}
		sum.Write([]byte{'\n'})
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// setMeta writes a row of meta. [sign] has to follow in the same transaction.
func setMeta(ctx context.Context, tx execer, name, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// sign writes the hash of what is in no chain.
func sign(ctx context.Context, tx execer) error {
	sum, err := metaSum(ctx, tx)
	if err != nil {
		return err
	}
	return setMeta(ctx, tx, sumName, sum)
}

// sound reports, in sentences, what of a file is not as it was written, its records and
// attachments apart.
func sound(ctx context.Context, db queryer, version int64) (faults []string, err error) {
	faults, err = strangers(ctx, db)
	if err != nil || len(faults) > 0 {
		return faults, err
	}
	var noted sql.NullString
	err = db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, sumName).Scan(&noted)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if version < 2 {
		if noted.Valid {
			return []string{fmt.Sprintf("the header says format %d, and the tables are of another one: the header was changed", version)}, nil
		}
		var s Source
		known, err := readSource(ctx, db, &s)
		if err != nil || known {
			return nil, err
		}
		var records int64
		if err = db.QueryRowContext(ctx, `SELECT count(*) FROM heads`).Scan(&records); err == nil && records > 0 {
			faults = append(faults, "the table meta, which says where the chats come from, was changed")
		}
		return faults, err
	}
	sum, err := metaSum(ctx, db)
	if err == nil && (!noted.Valid || noted.String != sum) {
		faults = append(faults, "the table meta, which says where the chats come from and which attachments are here, or the position up to which messages were read was changed")
	}
	return faults, err
}

// strangers reports tables, indexes and triggers that are not those of an archive.
func strangers(ctx context.Context, db queryer) (faults []string, err error) {
	want, err := objects(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, err
		}
		expected, known := want[kind+" "+name]
		delete(want, kind+" "+name)
		switch {
		case known && expected != text:
			faults = append(faults, fmt.Sprintf("%s %s is another one than was made", kind, name))
		case !known && !(strings.HasPrefix(name, "fliplet_chat_") && kind == "table") && !(strings.HasPrefix(name, "sqlite_") && text == ""):
			faults = append(faults, fmt.Sprintf("%s %s does not belong to an archive", kind, name))
		}
	}
	for name := range want {
		faults = append(faults, name+" is missing")
	}
	slices.Sort(faults)
	return faults, rows.Err()
}

// objects are the tables and indexes of an archive, as SQLite keeps what made them.
func objects(ctx context.Context) (map[string]string, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each has a memory of its own
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		list[name] = text
	}
	return list, rows.Err()
}

// Sound is nil when an archive's tables, and what it says about its source, are as they were
// written. It does not read the records: that is [Archive.Verify].
func (a *Archive) Sound(ctx context.Context) error {
	faults, err := sound(ctx, a.db, a.Format)
	return refuseFaults(a.Path, faults, explain(a.Path, err))
}

// refuseFaults makes an error of what is not as it was written.
func refuseFaults(path string, faults []string, err error) error {
	if err != nil || len(faults) == 0 {
		return err
	}
	return usagef(nil, "%s is damaged: %s. Take a copy from before, or export into a new file", path, faults[0])
}

// upgrade brings an archive of format 1 up to date. It had no hash of meta, so what can be
// found out again is not taken over.
func upgrade(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `DELETE FROM meta WHERE name = ?`, filesDone); err != nil {
		return err
	}
	if err := sign(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", Version)); err != nil {
		return err
	}
	return tx.Commit()
}

// sealSource adds what the seal has of meta: where the chats come from, but not how far the
// export is with attachments.
func sealSource(ctx context.Context, db queryer, sum hash.Hash) error {
	version, err := number(ctx, db, "user_version")
	if err != nil || version < 2 {
		return err
	}
	sum.Write([]byte("flchat archive 2\n"))
	for _, name := range sourceNames {
		var value []byte
		if err := db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, name).Scan(&value); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		put(sum, bytes.Clone(value))
	}
	return nil
}
