package boltjournal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Journal is a [flipletd.Journal] in a file.
type Journal struct{ db *bbolt.DB }

var _ flipletd.Journal = (*Journal)(nil)

// Close closes the file. Closing again does nothing.
func (j *Journal) Close() error { return j.db.Close() }

// Apply keeps records in one transaction. When it returns, they are on the disk;
// on an error none of them is.
func (j *Journal) Apply(list []flipletd.Record) error {
	return guard(func() error {
		return j.db.Update(func(tx *bbolt.Tx) error {
			all := tx.Bucket(records)
			for _, r := range list {
				b, err := all.CreateBucketIfNotExists([]byte(r.Kind))
				if err != nil {
					return fmt.Errorf("keeping %s %d: %w", r.Kind, r.ID, err)
				}
				if r.Value == nil {
					err = b.Delete(key(r.ID))
				} else {
					err = b.Put(key(r.ID), seal(r))
				}
				if err != nil {
					return fmt.Errorf("keeping %s %d: %w", r.Kind, r.ID, err)
				}
			}
			return nil
		})
	})
}

// Load calls yield for every record, kind by kind, ascending by id. A value
// belongs to yield.
func (j *Journal) Load(yield func(flipletd.Record) error) error {
	return guard(func() error {
		return j.db.View(func(tx *bbolt.Tx) error {
			all := tx.Bucket(records)
			return all.ForEachBucket(func(kind []byte) error {
				return all.Bucket(kind).ForEach(func(key, stored []byte) error {
					r, err := open(string(kind), key, stored)
					if err != nil {
						return err
					}
					return yield(r)
				})
			})
		})
	})
}

// key sorts as ids do, which are positive.
func key(id int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

// A value is stored behind a checksum over what names it and itself: bbolt only
// checks the pages that lead to it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(kind string, id, value []byte) uint32 {
	sum := crc32.Checksum([]byte(kind), castagnoli)
	sum = crc32.Update(sum, castagnoli, id)
	return crc32.Update(sum, castagnoli, value)
}

func seal(r flipletd.Record) []byte {
	stored := make([]byte, 4, 4+len(r.Value))
	binary.BigEndian.PutUint32(stored, checksum(r.Kind, key(r.ID), r.Value))
	return append(stored, r.Value...)
}

func open(kind string, id, stored []byte) (flipletd.Record, error) {
	if len(id) != 8 || len(stored) < 4 || binary.BigEndian.Uint32(stored) != checksum(kind, id, stored[4:]) {
		return flipletd.Record{}, fmt.Errorf("%w: the %s at %x is not what was stored", ErrDamaged, kind, id)
	}
	value := append([]byte{}, stored[4:]...) // not nil, which would mean a deletion
	return flipletd.Record{Kind: kind, ID: int64(binary.BigEndian.Uint64(id)), Value: value}, nil
}
