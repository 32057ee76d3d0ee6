package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// deriveKeys makes the keys for names and for values.
func deriveKeys(key []byte) (names []byte, values cipher.AEAD, err error) {
	if names, err = hkdf.Key(sha256.New, key, nil, "fliplet-chat:storage:1:names", KeySize); err != nil {
		return nil, nil, err
	}
	raw, err := hkdf.Key(sha256.New, key, nil, "fliplet-chat:storage:1:values", KeySize)
	if err != nil {
		return nil, nil, err
	}
	defer clear(raw)
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, nil, err
	}
	values, err = cipher.NewGCMWithRandomNonce(block) // 2^32 writes are a long time
	return names, values, err
}

// seal encrypts a name and a value for one place of the inner Store: the length of the
// name, the name, the value.
func (e *encrypted) seal(at, name string, value []byte) []byte {
	plain := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(name)+len(value)), uint64(len(name)))
	plain = append(append(plain, name...), value...)
	return e.values.Seal(nil, nil, plain, []byte(at))
}

// open decrypts what seal made for the same place. The value is not nil.
func (e *encrypted) open(at string, sealed []byte) (name string, value []byte, err error) {
	plain, err := e.values.Open(nil, nil, sealed, []byte(at))
	if err != nil {
		return "", nil, ErrTampered
	}
	n, size := binary.Uvarint(plain)
	if size <= 0 || n > uint64(len(plain)-size) { //nolint:gosec // size is at most the length
		return "", nil, ErrTampered
	}
	end := size + int(n) //nolint:gosec // not larger than plain
	return string(plain[size:end]), append([]byte{}, plain[end:]...), nil
}
