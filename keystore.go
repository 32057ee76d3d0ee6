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
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// keyRetryDelay is how long a failure to read a key is remembered.
const keyRetryDelay = 5 * time.Second

// Keystore reads the key that Fliplet's sync agent keeps on the server for data it
// encrypts: a data source of type "keystore" with an entry whose column content is
// the key, in the passphrase format. As [Keys] it is the passphrase of every
// conversation. Its 32 characters can also be the secret of [DeriveKeys].
//
// Unless the agent was given a salt, the key is encrypted under
// "<organization id>-<data source id>". Everybody who can read the data source knows
// both, so the key is only as safe as the access rules of that data source.
//
// A Keystore reads the key once, with two requests, and keeps it until Close. After
// a failure it makes no request for 5 s. It is safe for concurrent use. Printed,
// logged or marshalled, it shows no key.
type Keystore struct {
	client *datasource.Client
	opts   KeystoreOptions

	reading chan struct{} // holds one element during the requests of read
	mu      sync.Mutex    // guards what is below it
	key     []byte
	err     error
	retry   time.Time // when to try again after err
	closed  bool
}

// KeystoreOptions say which keystore to read and under what its key is encrypted. The
// zero value fits the defaults of Fliplet's agent.
type KeystoreOptions struct {
	// DataSourceID is the keystore. Default: of the data sources of type "keystore"
	// that the client's token can see, the one with the lowest id.
	DataSourceID int64
	// Salt is what the key is encrypted under, if the agent was configured with one.
	// Default: "<organization id>-<data source id>", and as JavaScript writes it where
	// there is no organization: "null-55" or "undefined-55".
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
	return &Keystore{client: client, opts: opts, reading: make(chan struct{}, 1)}, nil
}

// Key returns the key, the same for every conversation. Only one call reads it; the
// others wait, each no longer than its own context lasts.
//
// Errors: the context's cause; [ErrNotFound] when there is no keystore or no key in it; [ErrWrongKey]
// when the salt does not open it; [ErrClosed]; the server's error.
func (k *Keystore) Key(ctx context.Context, _ int64) (_ string, err error) {
	defer wrap("keystore", &err)
	if key, done, err := k.cached(); done {
		return key, err
	}
	select {
	case k.reading <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-k.reading }()
	if key, done, err := k.cached(); done { // another call has read it meanwhile
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
		if ctx.Err() == nil { // else the caller gave up, and the next one may succeed
			k.err, k.retry = err, time.Now().Add(keyRetryDelay)
		}
		return "", err
	}
	k.key, k.err = []byte(key), nil
	return key, nil
}

// cached returns the result of an earlier call; done is false if there is none.
func (k *Keystore) cached() (key string, done bool, err error) {
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

// read reads the key from the server.
func (k *Keystore) read(ctx context.Context) (string, error) {
	ds, err := k.find(ctx)
	if err != nil {
		return "", err
	}
	salts := agentSalts(k.opts.Salt, ds)
	rows, err := rows.Readable(ctx, k.client, ds.ID, datasource.Query{Type: "select"})
	if err != nil {
		return "", err
	}
	// There may be keys under several salts, of agents that were configured otherwise.
	entries := 0
	for i := range rows {
		content := wire.Text(rows[i].Data[keystoreColumn])
		if content == "" {
			continue
		}
		entries++
		for _, salt := range salts {
			if key, err := envelope.OpenPassphrase(content, salt); err == nil && key != "" {
				return key, nil
			}
		}
	}
	if entries == 0 {
		return "", fmt.Errorf("data source %d holds no key: %w", ds.ID, ErrNotFound)
	}
	return "", fmt.Errorf("data source %d: %w; is KeystoreOptions.Salt the agent's?", ds.ID, ErrWrongKey)
}

// agentSalts are what the agent may have encrypted the key under: the salt it was given,
// or else what JavaScript makes of the organization's id, which may be null or missing.
func agentSalts(given string, ds *datasource.DataSource) []string {
	if given != "" {
		return []string{given}
	}
	id := "-" + strconv.FormatInt(ds.ID, 10)
	return []string{strconv.FormatInt(ds.OrganizationID, 10) + id, "null" + id, "undefined" + id}
}

// find reads the keystore's data source.
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

// Close wipes the key; calls fail with [ErrClosed] from then on. Strings that Key
// returned are left to the garbage collector. Closing again does nothing.
func (k *Keystore) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.key)
	k.key, k.err, k.closed = nil, errors.New("closed"), true // opts never changes: a read may be under way
	return nil
}

// String names the type and nothing else.
func (k *Keystore) String() string { return "chat.Keystore(redacted)" }

// GoString is String, for %#v.
func (k *Keystore) GoString() string { return k.String() }

// Format writes String for every verb.
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
