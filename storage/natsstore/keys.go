package natsstore

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// maxKey is the longest key of a Store, in bytes.
const maxKey = 1024

// A key becomes a subject with a token for each part between slashes, so that the server can
// list by prefix. Letters, digits and "-" stay, any other byte is "=" and two hex digits, and an
// empty part is "=" alone. "_" is not used: names that begin with it are the server's and ours.

func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("key of %d bytes; give one of 1 to %d", len(key), maxKey)
	}
	return nil
}

func encode(key string) string {
	var b strings.Builder
	b.Grow(len(key) + 16)
	for i, part := range strings.Split(key, "/") {
		if i > 0 {
			b.WriteByte('.')
		}
		if part == "" {
			b.WriteByte('=')
		}
		for _, c := range []byte(part) {
			if plain(c) {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "=%02X", c)
			}
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}

// decode is the inverse of encode; ok is false for what encode does not make.
func decode(name string) (key string, ok bool) {
	var b strings.Builder
	for i, token := range strings.Split(name, ".") {
		if i > 0 {
			b.WriteByte('/')
		}
		if token == "=" {
			continue
		}
		for token != "" {
			if token[0] != '=' {
				b.WriteByte(token[0])
				token = token[1:]
				continue
			}
			if len(token) < 3 {
				return "", false
			}
			c, err := hex.DecodeString(token[1:3])
			if err != nil {
				return "", false
			}
			b.WriteByte(c[0])
			token = token[3:]
		}
	}
	key = b.String()
	return key, checkKey(key) == nil && encode(key) == name
}

// filter is the narrowest subject, below that of the bucket, that matches every key with a
// prefix.
func filter(prefix string) string {
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		return encode(prefix[:i]) + ".>"
	}
	return ">"
}
