package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
)

// Damage is something in an archive that is not as it was written.
type Damage struct {
	// What was found, in a sentence that names the message.
	What string `json:"what"`
	// Chain is the conversation, 0 for contacts; Message the message, if it is one's; Seq the
	// record.
	Chain   int64 `json:"conversation,omitempty"`
	Message int64 `json:"message,omitempty"`
	Seq     int64 `json:"record,omitempty"`
	// Column is the one that was changed, where that is known, and Offset the place in it.
	Column string `json:"column,omitempty"`
	Offset int    `json:"offset,omitempty"`
}

// Verified is what [Verify] has read.
type Verified struct {
	Records, Chains, Files int64
	// Seal is the hash of the archive, also of one that is damaged.
	Seal   string
	Damage []Damage
}

// maxDamage is how much damage is listed.
const maxDamage = 100

// Verify reads the whole archive and compares every record with its hash, the chains with
// their ends and the content of files with theirs. Of a record that was changed it finds the
// byte, when it is one, by trying. Memory is that of the ends of the chains and of the largest record.
func (a *Archive) Verify(ctx context.Context) (*Verified, error) {
	// All of it is read as of one moment: an export may be writing.
	tx, err := a.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, explain(a.Path, err)
	}
	defer func() { _ = tx.Rollback() }()
	v := &verification{db: tx, ends: map[int64]*end{}}
	steps := []func(context.Context) error{v.records, v.heads, v.numbers, v.files, v.tables, func(ctx context.Context) error {
		faults, err := sound(ctx, tx, a.Format)
		for _, fault := range faults {
			v.note(Damage{What: fault})
		}
		return err
	}}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			// What SQLite cannot read is damage, too.
			v.note(Damage{What: "the file cannot be read on: " + err.Error(), Seq: v.last})
		}
	}
	s, err := seal(ctx, tx)
	if err != nil && len(v.out.Damage) == 0 {
		return nil, explain(a.Path, err)
	}
	v.out.Seal = s
	return &v.out, nil
}

// end is the end of a chain so far.
type end struct {
	n    int64
	hash []byte
}

type verification struct {
	db   queryer
	out  Verified
	ends map[int64]*end
	last int64   // the record that was read last
	odd  *Damage // the first record with another number than the next one
}

func (v *verification) note(d Damage) {
	if len(v.out.Damage) < maxDamage {
		v.out.Damage = append(v.out.Damage, d)
	}
}

// loose is a record whose columns may have any type.
type loose struct {
	seq, chain, n, item int64
	kind                string
	fields              []field
	hash                []byte
	tried               int    // in how many ways each byte was changed to find what it was
	odd                 string // a column of another type than it should have
}

// text is a value as the hash takes it.
func text(v any) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case []byte:
		return v
	case string:
		return []byte(v)
	case int64:
		return strconv.AppendInt(nil, v, 10)
	}
	return fmt.Append(nil, v)
}

// unhashed switches the comparison off, for tests of the tests.
var unhashed = ""

// records compares each record with its hash.
func (v *verification) records(ctx context.Context) error {
	// By the table alone: an index may be damaged.
	rows, err := v.db.QueryContext(ctx, `SELECT `+columns+` FROM records NOT INDEXED ORDER BY seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	names := (&Record{}).fields()
	values := make([]any, len(names)+2)
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		var r loose
		for i, f := range names {
			f.bytes = text(values[i+1])
			r.fields = append(r.fields, f)
		}
		number := func(i int) int64 { n, _ := values[i].(int64); return n }
		r.seq, r.chain, r.n, r.item = number(0), number(1), number(2), number(4)
		r.kind, r.hash = string(r.fields[2].bytes), text(values[len(values)-1])
		for i, f := range r.fields {
			if _, isNumber := values[i+1].(int64); values[i+1] == nil || isNumber != numeric[f.name] {
				r.odd = f.name
			} else if _, isText := values[i+1].(string); isText == numeric[f.name] {
				r.odd = f.name
			}
		}
		if err := v.record(ctx, r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// numeric are the columns that hold numbers; the others hold text.
var numeric = map[string]bool{"chain": true, "n": true, "item": true, "first": true}

// record compares one record.
func (v *verification) record(ctx context.Context, r loose) error {
	if v.out.Records++; r.seq != v.out.Records && v.odd == nil {
		d := r.damage(fmt.Sprintf("its number is not %d, as it was", v.out.Records), "seq", 0)
		v.odd = &d
	}
	v.last = r.seq
	var e end
	if known := v.ends[r.chain]; known != nil {
		e = *known
	}
	computed := r.sum(e.hash)
	if bytes.Equal(computed, r.hash) {
		if r.odd != "" {
			v.note(r.damage("column "+r.odd+" is of another type than it was written with", r.odd, 0))
		}
		v.ends[r.chain] = &end{r.n, r.hash}
		return nil
	}
	switch at, one := difference(r.hash, computed); {
	case one:
		v.note(r.damage(fmt.Sprintf("byte %d of its hash is 0x%02x and was 0x%02x", at, r.hash[at], computed[at]), "hash", at))
		v.ends[r.chain] = &end{e.n + 1, computed}
		return nil
	case v.locate(ctx, &r, e.hash):
		v.ends[r.chain] = &end{e.n + 1, r.hash}
		return nil
	case v.moved(&r):
		return nil
	}
	// What is left of the record may name another message. The index has its own copy.
	var item int64
	if err := v.db.QueryRowContext(ctx, `SELECT item FROM records INDEXED BY records_item WHERE seq = ?`, r.seq).Scan(&item); err == nil {
		r.item = item
	}
	if r.n > e.n+1 {
		v.note(r.damage(fmt.Sprintf("it was changed, or %d records before it are missing", r.n-e.n-1), "", 0))
	} else {
		v.note(r.damage("it was changed"+r.extent(), "", 0))
	}
	if v.ends[r.chain] != nil {
		v.ends[r.chain] = &end{max(e.n+1, min(r.n, e.n+1_000_000)), r.hash}
	}
	return ctx.Err()
}

// extent is how much of a record was changed, as far as that was tried: what was not tried is
// not known.
func (r *loose) extent() string {
	switch r.tried {
	case 255:
		return ", in more than one byte"
	case 8:
		return ", in more than one bit; where was not looked for, since it is long"
	}
	return "; where was not looked for, since it is long"
}

// numbers notes a record whose number was changed: records have no gaps. One that is missing
// is noted already.
func (v *verification) numbers(context.Context) error {
	if v.odd != nil && len(v.out.Damage) == 0 {
		v.note(*v.odd)
	}
	return nil
}

// sum is the hash that a record should have.
func (r *loose) sum(before []byte) []byte {
	if unhashed == "" {
		return hashOf(before, r.fields)
	}
	return r.hash // a test wants to see that this goes unnoticed
}

// name is whose record it is, for people.
func (r *loose) name() string {
	switch r.kind {
	case KindContact, KindContactGone:
		return fmt.Sprintf("contact %d", r.item)
	case KindConversation:
		return fmt.Sprintf("conversation %d", r.item)
	}
	return fmt.Sprintf("message %d of conversation %d", r.item, r.chain)
}

func (r *loose) damage(what, column string, offset int) Damage {
	d := Damage{What: fmt.Sprintf("%s (record %d): %s", r.name(), r.seq, what), Chain: r.chain, Seq: r.seq, Column: column, Offset: offset}
	if r.kind != KindContact && r.kind != KindContactGone && r.kind != KindConversation {
		d.Message = r.item
	}
	return d
}

// work is how many bytes may be hashed to find a byte: some seconds.
const work = 2 << 30

// locate finds the byte that was changed, if it is one: with the byte that was there the
// record has its hash again. It notes what it finds.
func (v *verification) locate(ctx context.Context, r *loose, before []byte) bool {
	size := 0
	for _, f := range r.fields {
		size += len(f.bytes)
	}
	flips := 255
	if size*size*flips > work {
		flips = 8 // single bits only
	}
	if size*size*flips > work {
		flips = 0
	}
	r.tried = flips
	if flips == 0 {
		return false
	}
	for i, f := range r.fields {
		for at, is := range f.bytes {
			if ctx.Err() != nil {
				return false
			}
			for n := range flips {
				was := is ^ byte(n+1)
				if flips == 8 {
					was = is ^ 1<<n
				}
				f.bytes[at] = was
				if bytes.Equal(hashOf(before, r.fields), r.hash) {
					r.mend()
					v.note(r.damage(fmt.Sprintf("byte %d of column %s is 0x%02x and was 0x%02x", at, r.fields[i].name, is, was), f.name, at))
					return true
				}
			}
			f.bytes[at] = is
		}
	}
	return false
}

// moved reports whether a record was one of another conversation, and notes that.
func (v *verification) moved(r *loose) bool {
	is := r.fields[0].bytes
	for chain, e := range v.ends {
		r.fields[0].bytes = strconv.AppendInt(nil, chain, 10)
		if bytes.Equal(hashOf(e.hash, r.fields), r.hash) {
			r.mend()
			v.note(r.damage(fmt.Sprintf("column chain is %s and was %d", is, chain), "chain", 0))
			v.ends[chain] = &end{e.n + 1, r.hash}
			return true
		}
	}
	r.fields[0].bytes = is
	return false
}

// mend takes what names the record from its columns again.
func (r *loose) mend() {
	number := func(i int) int64 { n, _ := strconv.ParseInt(string(r.fields[i].bytes), 10, 64); return n }
	r.chain, r.n, r.kind, r.item = number(0), number(1), string(r.fields[2].bytes), number(3)
}

// difference is where two hashes differ, and whether they do in one byte only.
func difference(a, b []byte) (at int, one bool) {
	if len(a) != len(b) {
		return 0, false
	}
	n := 0
	for i := range a {
		if a[i] != b[i] {
			at = i
			n++
		}
	}
	return at, n == 1
}

// heads compares the chains with their noted ends.
func (v *verification) heads(ctx context.Context) error {
	rows, err := v.db.QueryContext(ctx, `SELECT chain, n, hash FROM heads ORDER BY chain`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var chain, n int64
		var hash []byte
		if err := rows.Scan(&chain, &n, &hash); err != nil {
			return err
		}
		v.out.Chains++
		name := fmt.Sprintf("conversation %d", chain)
		if chain == 0 {
			name = "the contacts"
		}
		e := v.ends[chain]
		delete(v.ends, chain)
		switch {
		case e == nil:
			v.note(Damage{Chain: chain, What: fmt.Sprintf("%s: all %d records are missing", name, n)})
		case e.n < n:
			v.note(Damage{Chain: chain, What: fmt.Sprintf("%s: the last %d records are missing, or the number at the end of the chain was changed", name, n-e.n)})
		case e.n != n:
			v.note(Damage{Chain: chain, What: fmt.Sprintf("%s: the end of the chain says %d records, and there are %d", name, n, e.n)})
		case !bytes.Equal(e.hash, hash):
			v.note(Damage{Chain: chain, What: name + ": the end of the chain is not the hash of its last record: one of them was changed"})
		}
	}
	for chain, e := range v.ends {
		v.note(Damage{Chain: chain, What: fmt.Sprintf("conversation %d: %d records, and the end of the chain is missing", chain, e.n)})
	}
	return rows.Err()
}

// files compares the content of files with their hashes.
func (v *verification) files(ctx context.Context) error {
	rows, err := v.db.QueryContext(ctx, `SELECT hash, part, bytes FROM blobs ORDER BY hash, part`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var current string
	var sum hash.Hash
	check := func() error {
		if sum != nil && hex.EncodeToString(sum.Sum(nil)) != current {
			return v.file(ctx, current, "its content was changed")
		}
		return nil
	}
	for rows.Next() {
		var name string
		var part int64
		var content []byte
		if err := rows.Scan(&name, &part, &content); err != nil {
			return err
		}
		if name != current || sum == nil {
			if err := check(); err != nil {
				return err
			}
			current, sum = name, sha256.New()
			v.out.Files++
		}
		sum.Write(content)
	}
	if err := check(); err != nil {
		return err
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := v.orphans(ctx); err != nil {
		return err
	}
	return v.missing(ctx)
}

// orphans notes files that no record names.
func (v *verification) orphans(ctx context.Context) error {
	rows, err := v.db.QueryContext(ctx, `SELECT hash FROM blobs EXCEPT SELECT json_extract(columns, '$.sha256') FROM records NOT INDEXED WHERE kind = 'file'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var hash string
		if err := rows.Scan(&hash); err != nil {
			return err
		}
		v.note(Damage{What: fmt.Sprintf("a file with the hash %s: no message has it", hash)})
	}
	return rows.Err()
}

// file notes a file, with the message that has it.
func (v *verification) file(ctx context.Context, hash, what string) error {
	var item, chain, seq int64
	err := v.db.QueryRowContext(ctx, `SELECT item, chain, seq FROM records NOT INDEXED WHERE kind = 'file' AND json_extract(columns, '$.sha256') = ? ORDER BY seq LIMIT 1`, hash).Scan(&item, &chain, &seq)
	if err != nil {
		v.note(Damage{What: fmt.Sprintf("a file with the hash %s: %s; no message has it", hash, what)})
		return nil //nolint:nilerr // it is noted
	}
	v.note(Damage{What: fmt.Sprintf("attachment of message %d of conversation %d: %s", item, chain, what), Chain: chain, Message: item, Seq: seq, Column: "file"})
	return nil
}

// missing notes files that records name and that are not there.
func (v *verification) missing(ctx context.Context) error {
	list, err := column[string](ctx, v.db, `SELECT DISTINCT json_extract(columns, '$.sha256') AS content FROM records NOT INDEXED WHERE kind = 'file' AND content IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.hash = json_extract(records.columns, '$.sha256'))`)
	if err != nil {
		return err
	}
	for _, hash := range list {
		if err := v.file(ctx, hash, "its content is missing"); err != nil {
			return err
		}
	}
	return nil
}

// tables lets SQLite look at its own pages and indexes, which have no hash.
func (v *verification) tables(ctx context.Context) error {
	rows, err := v.db.QueryContext(ctx, `PRAGMA integrity_check(10)`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var said string
		if err := rows.Scan(&said); err != nil {
			return err
		}
		if said != "ok" {
			v.note(Damage{What: "the tables: " + said})
		}
	}
	return rows.Err()
}
