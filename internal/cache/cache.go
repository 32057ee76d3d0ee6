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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// readTimeout bounds the Store calls that a caller waits for, so that a Store that hangs
// does not block those who can go on without it.
const readTimeout = 2 * time.Second

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
	// Owner is whoever has the Cache. nil: all columns are stored, nothing is shared, and
	// nothing ends.
	Owner Owner
}

// Owner is whoever has a [Cache].
type Owner interface {
	// Stores says which columns of contacts are stored, beside those of the user.
	Stores(column string) bool
	// Shared are keys of the user's that other components read: Forget removes their values.
	Shared() []string
	// Go runs a function in the background. It reports false when everything else has
	// ended; then the caller runs it.
	Go(fn func()) bool
	// AfterStop has a function called when everything ends, so that nothing is written any more
	// to a Store that is slow. release prevents that.
	AfterStop(fn func(cause error)) (release func() bool)
}

// settings are what is needed of a [Config] once the prefix of keys is known.
type settings struct {
	Store storage.Store
	Log   *slog.Logger
	Owner Owner
	Page  int // 0: no messages are kept
}

// Cache is the part of a Store that belongs to one contacts data source. It is safe
// for concurrent use.
type Cache struct {
	cfg    settings
	prefix string

	mu       sync.Mutex
	accounts []*account // of the users so far, mostly one
}

// New returns a Cache. It does not touch the Store.
func New(cfg Config) *Cache { return new(Cache).Init(cfg) }

// Init is New for a zero Cache that is a part of something else.
func (c *Cache) Init(cfg Config) *Cache {
	c.cfg = settings{cfg.Store, cfg.Log, cfg.Owner, 0}
	if c.prefix = ownPrefix; cfg.KeepsMessages {
		c.cfg.Page = cfg.Page
		c.prefix = fmt.Sprintf("%s%s/%d/", Prefix, Host(cfg.BaseURL), cfg.DataSourceID)
	}
	return c
}

// Host is what keys have of an API's URL.
func Host(baseURL string) string {
	if u, err := url.Parse(baseURL); err == nil && u.Host != "" {
		return u.Host
	}
	return baseURL
}

// Prefix is what all keys begin with in a Store that outlives the Cache. The other is one
// Chat's own: what tells keys of many apart would be half of what it holds.
const (
	Prefix    = "fl-chat-cache/"
	ownPrefix = "c/"
)

// Place is whose value a key names.
type Place struct {
	Host         string // of the API
	DataSourceID int64  // of the contacts
	UserID       string // "" if the key holds only a hash of it
}

// PlaceOf takes a key apart that [Cache.Key] has made.
func PlaceOf(key string) (p Place, name string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(key, Prefix), "/")
	if len(parts) != 4 || !strings.HasPrefix(key, Prefix) {
		return Place{}, "", false
	}
	id, err := strconv.ParseInt(parts[1], 10, 64)
	user, escaped := url.PathUnescape(parts[2])
	if err != nil || escaped != nil {
		return Place{}, "", false
	}
	if strings.HasPrefix(user, hashed) {
		user = ""
	}
	return Place{Host: parts[0], DataSourceID: id, UserID: user}, parts[3], true
}

// hashed marks the hash of an id that is too long for a key.
const hashed = "sha256:"

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

// keepsMessages is that of the [Config].
func (c *Cache) keepsMessages() bool { return c.cfg.Page > 0 }

// Store is where everything is kept.
func (c *Cache) Store() storage.Store { return c.cfg.Store }

// Key is the key of a user's value. The user "" is used before a login.
func (c *Cache) Key(userID, name string) string {
	if userID = url.PathEscape(userID); len(userID) > 200 {
		sum := sha256.Sum256([]byte(userID)) // a key has 1,024 bytes at most
		userID = hashed + hex.EncodeToString(sum[:])
	}
	return c.prefix + userID + "/" + name
}

// User returns the cache of one session of a user. The user "" is used before a
// login.
func (c *Cache) User(userID string) *User { return c.InitUser(new(User), userID) }

// InitUser is User for a zero User that is a part of something else.
func (c *Cache) InitUser(u *User, userID string) *User {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.accounts, func(a *account) bool { return a.userID == userID })
	if i < 0 {
		i = len(c.accounts)
		c.accounts = append(c.accounts, &account{userID: userID})
	}
	a := c.accounts[i]
	*u = User{cache: c, account: a, since: a.logouts.Load()}
	if c.keepsMessages() {
		u.recent = new(recent)
	}
	return u
}
