package cache

import (
	"context"
	"strings"
)

// A Store that is one Chat's own is memory, of which a process may have thousands, and half of
// what is cached of a user are names that are the same for all of them. There a control
// character stands for such a text, which JSON as it is written here never has, and logins go
// by the beginning of their hash.

// phrases are the texts, from the longest to the shortest of those that begin alike.
var phrases = []string{
	`{"contact":{"id":`, `,"dataSourceId":`, `,"data":{"`, `"},"createdAt":"`, `","updatedAt":"`, `","deletedAt":null},"token":"`, `","deletedAt":null},{"id":`,
	`","flUserId":"`, `","flUserToken":"`, `"Email":"`,
	`[{"ID":`, `"},{"ID":`, `,"AppID":`, `,"OrganizationID":`, `,"Name":"`, `","Definition":{"`, `encryptionKey":"`, `","participants":["`, `"]},"CreatedAt":"`, `","UpdatedAt":"`,
}

// signs are what stands for them. White space is none, and neither is 0.
const signs = "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19"

var terse, wordy = func() (*strings.Replacer, *strings.Replacer) {
	var there, back []string
	for i, text := range phrases {
		there, back = append(there, text, signs[i:i+1]), append(back, signs[i:i+1], text)
	}
	return strings.NewReplacer(there...), strings.NewReplacer(back...)
}()

// store stores JSON.
func (c *Cache) store(ctx context.Context, key string, raw []byte) error {
	if !c.keepsMessages() {
		raw = []byte(terse.Replace(string(raw)))
	}
	return c.cfg.Store.Set(ctx, key, raw)
}

// stored is what store has stored.
func (c *Cache) stored(ctx context.Context, key string) ([]byte, error) {
	raw, err := c.cfg.Store.Get(ctx, key)
	if err == nil && !c.keepsMessages() {
		raw = []byte(wordy.Replace(string(raw)))
	}
	return raw, err
}

// loginName is what a login is called. Who it finds is checked, so a few digits are enough
// where it counts how many they are.
func (c *Cache) loginName(login string) string {
	if !c.keepsMessages() {
		login = login[:min(len(login), 12)]
	}
	return login
}
