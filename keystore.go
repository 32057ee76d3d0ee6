package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Keystore is the key that Fliplet's sync agent keeps on the server for data it
// encrypts: a data source of type "keystore" with an entry whose column content is
// the key, in the passphrase format (seen in the agent). As [Keys] it is the
// passphrase of every conversation; its 32 characters also make a secret for
// [DeriveKeys].
//
// Unless the agent was given a salt, the key is encrypted under
// "<organization id>-<data source id>", which everybody knows who can read the
// keystore: it is as safe as the access rules of that data source.
//
// A Keystore reads the key once and keeps it until Close. Only the first call, and
// one made 5 s after a failure, makes requests. It is safe for concurrent use and
// shows no key however it is printed, logged or marshalled.
type Keystore struct {
	client *datasource.Client
	opts   KeystoreOptions

	reading sync.Mutex // one reader at a time, who may wait for the server
	mu      sync.Mutex
	key     []byte
	err     error
	retry   time.Time // not before, after err
	closed  bool
}

// KeystoreOptions say which keystore, and under what its key is encrypted. The zero
// value is what Fliplet's agent does.
type KeystoreOptions struct {
	// DataSourceID is the keystore. Default: the first data source of type
	// "keystore" that the client's token can see, by id.
	DataSourceID int64
	// Salt is what the key is encrypted under, if the agent was configured with one.
	// Default "<organization id>-<data source id>".
	Salt string
}

var _ Keys = (*Keystore)(nil)

const (
	typeKeystore   = "keystore"
	keystoreColumn = "content"
)

// NewKeystore returns a Keystore; it makes no request.
//
// Errors: [ErrInvalid] for a nil client or a negative id.
func NewKeystore(client *datasource.Client, opts KeystoreOptions) (_ *Keystore, err error) {
	defer wrap("new keystore", &err)
	if client == nil {
		return nil, invalid("client: nil; make one with datasource.NewClient")
	}
	if opts.DataSourceID < 0 {
		return nil, invalid("KeystoreOptions.DataSourceID: %d is negative; 0 finds the keystore", opts.DataSourceID)
	}
	return &Keystore{client: client, opts: opts}, nil
}

// Key returns the key, the same for every conversation.
//
// Errors: [ErrNotFound] when there is no keystore or no key in it; [ErrWrongKey]
// when the salt does not open it; [ErrClosed]; what the server said.
func (k *Keystore) Key(ctx context.Context, _ int64) (_ string, err error) {
	defer wrap("keystore", &err)
	if key, done, err := k.kept(); done {
		return key, err
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if key, done, err := k.kept(); done { // somebody else has read it meanwhile
		return key, err
	}
	key, err := k.read(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return "", ErrClosed
	}
	if err != nil {
		err = fmt.Errorf("keystore: %w", err)
		if ctx.Err() == nil { // an impatient caller says nothing about the keystore
			k.err, k.retry = err, time.Now().Add(keyRetryDelay)
		}
		return "", err
	}
	k.key, k.err = []byte(key), nil
	return key, nil
}

// kept is what an earlier call found, if that still counts.
func (k *Keystore) kept() (key string, done bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return "", true, ErrClosed
	case k.key != nil:
		return string(k.key), true, nil
	case k.err != nil && time.Now().Before(k.retry):
		return "", true, k.err
	}
	return "", false, nil
}

// read gets the key from the server.
func (k *Keystore) read(ctx context.Context) (string, error) {
	ds, err := k.find(ctx)
	if err != nil {
		return "", err
	}
	salt := cmp.Or(k.opts.Salt, strconv.FormatInt(ds.OrganizationID, 10)+"-"+strconv.FormatInt(ds.ID, 10))
	rows, err := k.client.Find(ctx, ds.ID, datasource.Query{Type: "select"})
	if err != nil {
		return "", err
	}
	// The agent adds an entry when its salt does not open the first one, so keys
	// under several salts may stand side by side.
	entries := 0
	for i := range rows {
		content := wire.Text(rows[i].Data[keystoreColumn])
		if content == "" {
			continue
		}
		entries++
		if key, err := envelope.OpenPassphrase(content, salt); err == nil && key != "" {
			return key, nil
		}
	}
	if entries == 0 {
		return "", fmt.Errorf("data source %d holds no key: %w", ds.ID, ErrNotFound)
	}
	return "", fmt.Errorf("data source %d: %w; is KeystoreOptions.Salt the agent's?", ds.ID, ErrWrongKey)
}

// find gets the keystore's data source.
func (k *Keystore) find(ctx context.Context) (*datasource.DataSource, error) {
	if id := k.opts.DataSourceID; id != 0 {
		ds, err := k.client.DataSource(ctx, id)
		return ds, missing(err, "data source", id)
	}
	list, err := k.client.DataSources(ctx, datasource.SourceFilter{Type: typeKeystore})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(ds datasource.DataSource) bool { return ds.Type != typeKeystore || ds.ID <= 0 })
	if len(list) == 0 {
		return nil, fmt.Errorf("no data source of type %q: %w", typeKeystore, ErrNotFound)
	}
	first := slices.MinFunc(list, func(a, b datasource.DataSource) int { return cmp.Compare(a.ID, b.ID) })
	return &first, nil
}

// Close wipes the key; calls fail with [ErrClosed] from then on. Copies that were
// handed out as text are left to the garbage collector. Closing again does nothing.
func (k *Keystore) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.key)
	k.key, k.err, k.closed, k.opts.Salt = nil, errors.New("closed"), true, ""
	return nil
}

// String tells that there is a keystore and nothing else.
func (k *Keystore) String() string { return "chat.Keystore(redacted)" }

// GoString is String, for %#v.
func (k *Keystore) GoString() string { return k.String() }

// Format writes String whatever the verb.
func (k *Keystore) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) } //nolint:errcheck // as fmt itself

// LogValue is String, for log/slog.
func (k *Keystore) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String, for encoders such as encoding/json.
func (k *Keystore) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Format prints the options without the salt.
func (o KeystoreOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "chat.KeystoreOptions{DataSourceID: %d}", o.DataSourceID)
}

// MarshalJSON writes the options without the salt.
func (o KeystoreOptions) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"DataSourceID":%d}`, o.DataSourceID), nil
}
