package pins

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// ErrChanged: the key is not the one that was seen before; see chat.ErrKeyChanged.
var ErrChanged = errors.New("chat: the conversation's key is not the one that was seen before")

// errNotText: a key that nobody can use, and that must not lead to the computed one.
var errNotText = errors.New("its definition holds a key that is not text")

// errComputed: the only key is one that everybody can compute.
var errComputed = errors.New("it stores no key of its own, and Options.MinProtection refuses the one that everybody can compute")

// errFull: nobody could tell later whether the key is the one that was seen now.
var errFull = errors.New("its key cannot be remembered: there are too many conversations, and Options.MinProtection refuses a key that could be replaced unnoticed. " +
	"A conversation that the user writes in, or calls AcceptKey for, takes the place of another")

// retryDelay is how long a failure is remembered: each message of a page would cost a
// request.
const retryDelay = 5 * time.Second

// maxFailed bounds the memory for conversations that give no key.
const maxFailed = 4096

// Values is where the pins of one user are stored.
type Values interface {
	PinsKey() string
	Pins(ctx context.Context) ([]byte, error)
	EditPins(ctx context.Context, edit func(old []byte) ([]byte, error)) error
}

// Config says what a [Book] works with. All fields but Strict are required.
type Config struct {
	Owner
	// Strict: a Store that fails gives no keys, and the computed key is none.
	Strict bool
	Log    *slog.Logger
}

// Owner is whoever has a [Book].
type Owner interface {
	// Values are those of the current user.
	Values() Values
	// Read reads a definition from the server and calls Put.
	Read(ctx context.Context, conversation int64) (wire.Definition, error)
}

// Book holds the keys of the definitions that a session has read, as many as the user
// has conversations. It is safe for concurrent use.
type Book struct {
	cfg Config

	mu    sync.Mutex
	known few.Map[int64, entry]
	// failed are conversations that give no key, and until when not to try again.
	failed map[int64]failure

	others  map[int64]pin    // pins of conversations that are not among the known
	values  Values           // whose the pins are; nil before the first are needed
	fresh   map[int64]string // pins that are not stored yet
	pending int              // entries without a verdict
	trouble *failure         // of the Store; nil while it is well
	news    []int64          // conversations whose key has changed, to be logged

	loaded         bool // values, with what is stored
	full, toldFull bool // there are more pins than fit; it was logged
}

type failure struct {
	err   error
	until time.Time
}

type verdict uint8

const (
	unsettled verdict = iota
	accepted
	changed
)

// entry is one conversation.
type entry struct {
	pin     string // fingerprint of the key that may be used; "" if there is none
	key     string // in the definition; "" if there is none
	text    bool   // false if it holds one that is not text
	first   string // the key that was seen first, until it is compared with the pin
	verdict verdict
	told    bool // that it has changed
	own     bool // the stored pin is an own one
	unsaved bool // the pin is that of this process only: there is no room for it
}

// New returns an empty Book.
func New(cfg Config) *Book { return new(Book).Init(cfg) }

// Init is New for a zero Book that is a part of something else.
func (b *Book) Init(cfg Config) *Book {
	b.cfg = cfg
	return b
}

// Put notes a definition that was read.
func (b *Book) Put(id int64, d wire.Definition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.known.At(id)
	if e == nil {
		p := b.others[id]
		delete(b.others, id)
		b.known.Set(id, entry{pin: p.hash, own: p.own, verdict: accepted})
		e = b.known.At(id)
		b.reopen(e)
	}
	key, text := d.BodyKey(), d.BodyKeyIsText()
	if key != e.key || text != e.text {
		b.reopen(e)
	}
	if e.first == "" {
		e.first = key
	}
	e.key, e.text = key, text
	if f, ok := b.failed[id]; ok && !errors.Is(f.err, ErrChanged) {
		delete(b.failed, id)
	}
}

// reopen makes an entry one without a verdict. mu is held.
func (b *Book) reopen(e *entry) {
	if e.verdict != unsettled {
		e.verdict = unsettled
		b.pending++
	}
}

// store notes what came of asking the Store. mu is held.
func (b *Book) store(err error) {
	if b.trouble = nil; err != nil {
		b.trouble = &failure{err, time.Now().Add(retryDelay)}
	}
}

// storeErr is what the Store met last. mu is held.
func (b *Book) storeErr() error {
	if b.trouble == nil {
		return nil
	}
	return b.trouble.err
}

// Len is how many conversations are known.
func (b *Book) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known.Len()
}

// Clear forgets everything that is not stored.
func (b *Book) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known, b.failed, b.others, b.fresh, b.values = few.Map[int64, entry]{}, nil, nil, nil, nil
	b.loaded, b.pending, b.trouble = false, 0, nil
	b.full, b.toldFull = false, false
}

// AtHand is Key without a request.
func (b *Book) AtHand(id int64) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.known.At(id)
	if e == nil || e.verdict != accepted || b.forgettable(e) {
		return "", false
	}
	return e.use(id), true
}

// forgettable reports whether a key is none because the next process would not know
// it. mu is held.
func (b *Book) forgettable(e *entry) bool { return b.cfg.Strict && e.unsaved }

// use is the key of an accepted entry.
func (e *entry) use(id int64) string {
	if e.key == "" {
		return wire.FallbackBodyKey(id)
	}
	return e.key
}

// Refused reports whether a conversation's key is known to be none that may be used.
func (b *Book) Refused(id int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.known.At(id)
	return e != nil && (e.verdict == changed || b.forgettable(e))
}

// Key returns the passphrase of a conversation's bodies: the one in its definition, or
// the computed one where there has never been any, if that may be used.
func (b *Book) Key(ctx context.Context, id int64) (string, error) {
	key, err := b.key(ctx, id)
	if err == nil && b.cfg.Strict && key == wire.FallbackBodyKey(id) {
		return "", errComputed
	}
	return key, err
}

// KeyToWrite is Key for what the user writes.
func (b *Book) KeyToWrite(ctx context.Context, id int64) (string, error) {
	key, err := b.Key(ctx, id)
	if err != nil && !errors.Is(err, errFull) {
		return "", err
	}
	if failed := b.own(ctx, id); failed != nil && b.cfg.Strict {
		return "", failed
	}
	if err != nil {
		return b.Key(ctx, id)
	}
	return key, nil
}

// key is Key, whoever can compute it. A key that has changed is looked at again every
// few seconds: it may have been put right, or accepted elsewhere.
func (b *Book) key(ctx context.Context, id int64) (string, error) {
	if key, ok := b.AtHand(id); ok {
		return key, nil
	}
	if err := b.failure(id); err != nil {
		return "", err
	}
	b.mu.Lock()
	e := b.known.At(id)
	again := e == nil || e.verdict == changed
	if e != nil && e.verdict == changed {
		b.reopen(e)
		b.loaded = false
	}
	b.mu.Unlock()
	if again {
		if _, err := b.cfg.Read(ctx, id); err != nil {
			b.fail(ctx, id, err)
			return "", err
		}
	}
	err := b.Settle(ctx)
	if err == nil || !b.cfg.Strict {
		if key, ok := b.AtHand(id); ok {
			return key, nil
		}
		if err = b.why(id); errors.Is(err, errFull) {
			return "", err // it costs nothing to ask again
		}
	}
	b.fail(ctx, id, err)
	return "", err
}

// why is why the key of a conversation is none.
func (b *Book) why(id int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := b.known.At(id); {
	case e == nil:
	case !e.text && e.pin == "":
		return errNotText
	case e.verdict == accepted && b.forgettable(e):
		return errFull
	}
	return ErrChanged
}

// failure is why a conversation gave no key within retryDelay, or nil.
func (b *Book) failure(id int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f, ok := b.failed[id]; ok && time.Now().Before(f.until) {
		return f.err
	}
	return nil
}

func (b *Book) fail(ctx context.Context, id int64, err error) {
	if ctx.Err() != nil {
		return // the caller gave up, and the next one may succeed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil || len(b.failed) >= maxFailed {
		b.failed = map[int64]failure{}
	}
	b.failed[id] = failure{err, time.Now().Add(retryDelay)}
}
