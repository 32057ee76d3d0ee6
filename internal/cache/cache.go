package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// storeTimeout bounds the Store calls whose failure is only logged, so that a Store
// that hangs does not block callers that can go on without it.
const storeTimeout = 5 * time.Second

// Config is what a Cache works with.
type Config struct {
	Store storage.Store
	// BaseURL is the API's URL. Its host is a part of every key.
	BaseURL string
	// DataSourceID is the data source of the contacts.
	DataSourceID int64
	Log          *slog.Logger
	// KeepsMessages: messages are stored, since the Store outlives the Cache.
	KeepsMessages bool
	// Page is how many messages are stored.
	Page int
	// Columns says which columns of contacts are stored, beside those of the user. nil
	// stores all.
	Columns func(name string) bool
}

// Cache is the part of a Store that belongs to one contacts data source. It is safe
// for concurrent use.
type Cache struct {
	cfg    Config
	prefix string

	mu       sync.Mutex
	accounts []*account // of the users so far, mostly one
}

// New returns a Cache. It does not touch the Store.
func New(cfg Config) *Cache {
	host := cfg.BaseURL
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
	}
	return &Cache{cfg: cfg, prefix: fmt.Sprintf("fl-chat-cache/%s/%d/", host, cfg.DataSourceID)}
}

// scrub removes what deleted values left behind, in a Store that can.
func (c *Cache) scrub(ctx context.Context) error {
	s, ok := c.cfg.Store.(storage.Scrubber)
	if !ok {
		return nil
	}
	if err := s.Scrub(ctx); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil // a wrapper around a Store that cannot
}

// Key is the key of a user's value. The user "" is used before a login.
func (c *Cache) Key(userID, name string) string {
	if userID = url.PathEscape(userID); len(userID) > 200 {
		sum := sha256.Sum256([]byte(userID)) // a key has 1,024 bytes at most
		userID = "sha256:" + hex.EncodeToString(sum[:])
	}
	return c.prefix + userID + "/" + name
}

// User returns the cache of one session of a user. The user "" is used before a
// login.
func (c *Cache) User(userID string) *User {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.accounts, func(a *account) bool { return a.userID == userID })
	if i < 0 {
		i = len(c.accounts)
		c.accounts = append(c.accounts, &account{userID: userID})
	}
	a := c.accounts[i]
	return &User{cache: c, id: userID, account: a, since: a.logouts.Load()}
}
