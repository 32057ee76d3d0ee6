package feed

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// Stored positions hold many versions, which packed take a fifth of their JSON. A pack
// begins with the number of versions. Each is its flags, then what differs from the one
// before it: conversation, id, creation and change as signed varints, hash and origin
// as they are.

// flags of a packed version
const (
	packDeleted = 1 << iota
	packDuplicate
	packOrigin // it has one
	packWhole  // its times are whole milliseconds, and stored as such
)

const millisecond = 1000

var errPack = errors.New("it ends too early")

// pack appends versions to b.
func pack(b []byte, versions []savedVersion) []byte {
	b = binary.AppendUvarint(b, uint64(len(versions)))
	var last savedVersion
	for _, v := range versions {
		unit, flags := Time(1), byte(0)
		if v.Created%millisecond == 0 && v.Updated%millisecond == 0 && last.Created%millisecond == 0 {
			unit, flags = millisecond, packWhole
		}
		if v.Deleted {
			flags |= packDeleted
		}
		if v.Duplicate {
			flags |= packDuplicate
		}
		if v.Origin != 0 {
			flags |= packOrigin
		}
		b = append(b, flags)
		b = binary.AppendVarint(b, v.Conversation-last.Conversation)
		b = binary.AppendVarint(b, v.ID-last.ID)
		b = binary.AppendVarint(b, int64((v.Created-last.Created)/unit))
		b = binary.AppendVarint(b, int64((v.Updated-v.Created)/unit))
		b = binary.LittleEndian.AppendUint64(b, v.Hash)
		if v.Origin != 0 {
			b = binary.LittleEndian.AppendUint64(b, v.Origin)
		}
		last = v
	}
	return b
}

// unpack is the reverse of pack. It returns what follows the pack.
func unpack(b []byte) (_ []savedVersion, rest []byte, err error) {
	u := unpacker{b}
	n := u.uvarint()
	if n > uint64(len(u.b)) { // each takes more than a byte
		return nil, nil, errPack
	}
	versions := make([]savedVersion, 0, n)
	var last savedVersion
	for range n {
		flags, unit := u.bytes(1), Time(1)
		if flags == nil {
			return nil, nil, errPack
		}
		if flags[0]&packWhole != 0 {
			unit = millisecond
		}
		v := savedVersion{Deleted: flags[0]&packDeleted != 0, Duplicate: flags[0]&packDuplicate != 0}
		v.Conversation = last.Conversation + u.varint()
		v.ID = last.ID + u.varint()
		v.Created = last.Created + Time(u.varint())*unit
		v.Updated = v.Created + Time(u.varint())*unit
		v.Hash = u.fixed()
		if flags[0]&packOrigin != 0 {
			v.Origin = u.fixed()
		}
		if u.b == nil {
			return nil, nil, errPack
		}
		versions, last = append(versions, v), v
	}
	if u.b == nil {
		return nil, nil, errPack
	}
	return versions, u.b, nil
}

// packSorted is pack in the order of ids, in which it is shortest.
func packSorted(versions []savedVersion) []byte {
	if len(versions) == 0 {
		return nil
	}
	slices.SortStableFunc(versions, func(a, b savedVersion) int { return cmp.Compare(a.ID, b.ID) })
	return pack(nil, versions)
}

// unpacker reads from b, which is nil after a failure.
type unpacker struct{ b []byte }

func (u *unpacker) bytes(n int) (out []byte) {
	if len(u.b) < n {
		u.b = nil
		return nil
	}
	out, u.b = u.b[:n:n], u.b[n:]
	return out
}

func (u *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.b = nil
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) varint() int64 {
	v, n := binary.Varint(u.b)
	if n <= 0 {
		u.b = nil
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) fixed() uint64 {
	if b := u.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}
