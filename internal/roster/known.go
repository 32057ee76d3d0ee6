package roster

import (
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Known caches the definitions that were read, and the keys of their bodies. It holds as
// many as the user has conversations. The zero value, with Key set, is empty; it is safe
// for concurrent use.
type Known struct {
	// BodyKey decodes the key of a conversation's bodies.
	BodyKey func(id int64, d wire.Definition) string

	mu   sync.Mutex
	defs map[int64]known
	puts uint64 // counts the calls of Put
	// failed are conversations that could not be read, and until when not to retry:
	// each message of a page would cost a request.
	failed map[int64]failedRead
}

type known struct {
	def     wire.Definition
	key     string // of bodies, decoded once
	members []string
	put     uint64
	read    time.Time
	// unlisted: a list that was read later does not have the conversation.
	unlisted bool
}

func (e *known) has(userID string) bool { return userID != "" && slices.Contains(e.members, userID) }

// shows reports whether a user is a member, as far as is known.
func (e *known) shows(userID string) bool { return !e.unlisted && e.has(userID) }

type failedRead struct {
	err   error
	until time.Time
}

// Put remembers a definition as read last.
func (k *Known) Put(id int64, d wire.Definition) { k.put(id, d, nil) }

// PutCached remembers a definition that an earlier session read, unless one was read
// since. It returns the given one.
func (k *Known) PutCached(id int64, d wire.Definition) wire.Definition {
	k.put(id, d, new(uint64))
	return d
}

func (k *Known) put(id int64, d wire.Definition, unlessSince *uint64) {
	key, members := k.BodyKey(id, d), d.List(wire.Participants)
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.defs[id]; ok && unlessSince != nil && e.put > *unlessSince {
		return
	}
	if k.defs == nil {
		k.defs = map[int64]known{}
	}
	k.puts++
	k.defs[id] = known{def: d, key: key, members: members, put: k.puts, read: time.Now()}
	delete(k.failed, id)
}

// Listing is called before the list of a user's conversations is read. The list goes to
// the function that it returns.
func (k *Known) Listing(userID string) (done func(map[int64]wire.Definition)) {
	k.mu.Lock()
	began := k.puts
	k.mu.Unlock()
	return func(list map[int64]wire.Definition) {
		for id, d := range list {
			k.put(id, d, &began)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		for id, e := range k.defs {
			if _, ok := list[id]; !ok && e.put <= began && e.has(userID) {
				e.unlisted = true
				k.defs[id] = e
			}
		}
	}
}

// Get returns the definition that was read last.
func (k *Known) Get(id int64) (wire.Definition, bool) {
	e, ok := k.get(id)
	return e.def, ok
}

func (k *Known) get(id int64) (known, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.defs[id]
	return e, ok
}

// Key returns the key of a conversation's bodies.
func (k *Known) Key(id int64) (string, bool) {
	e, ok := k.get(id)
	return e.key, ok
}

// Len counts the definitions.
func (k *Known) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.defs)
}

// Failure is why a conversation could not be read a moment ago, or nil.
func (k *Known) Failure(id int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.failed[id]; ok && time.Now().Before(f.until) {
		return f.err
	}
	return nil
}

// Fail remembers for a moment why a conversation could not be read.
func (k *Known) Fail(id int64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed == nil || len(k.failed) >= maxDenied {
		k.failed = map[int64]failedRead{}
	}
	k.failed[id] = failedRead{err, time.Now().Add(rest)}
}

// Clear forgets everything.
func (k *Known) Clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.defs, k.failed = nil, nil
}
