package roster

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Known caches the definitions that were read. It holds as many as the user has
// conversations. The zero value is empty; it is safe for concurrent use.
type Known struct {
	// Seen, if set, gets every definition that is remembered. Set it before use.
	Seen interface {
		Put(id int64, d wire.Definition)
	}

	mu   sync.Mutex
	defs few.Map[int64, known]
	puts uint64 // counts the calls of Put
}

type known struct {
	def     json.RawMessage // as text, since it is asked for rarely: a map takes several times as much
	members members         // those in def
	put     uint64
	read    time.Time
	// unlisted: a list that was read later does not have the conversation.
	unlisted bool
}

func (e *known) has(userID string) bool { return userID != "" && e.members.has(userID) }

// members are ids in one piece of text: there may be thousands of conversations with many of them
// each.
type members string

// between is what no id has that counts.
const between = "\x00"

func membersOf(ids []string) members {
	ids = slices.DeleteFunc(ids, func(id string) bool { return strings.Contains(id, between) })
	return members(strings.Clone(strings.Join(ids, between))) // or a single id would keep the answer it came with
}

func (m members) has(id string) bool {
	for member, rest, more := strings.Cut(string(m), between); ; member, rest, more = strings.Cut(rest, between) {
		if member == id || !more {
			return member == id
		}
	}
}

// shows reports whether a user is a member, as far as is known.
func (e *known) shows(userID string) bool { return !e.unlisted && e.has(userID) }

// Put remembers a definition as read last.
func (k *Known) Put(id int64, d wire.Definition) { k.put(id, d, nil) }

// PutCached remembers a definition that an earlier session read, unless one was read
// since. It returns the given one.
func (k *Known) PutCached(id int64, d wire.Definition) wire.Definition {
	k.put(id, d, new(uint64))
	return d
}

func (k *Known) put(id int64, d wire.Definition, unlessSince *uint64) {
	if k.remember(id, d, unlessSince) && k.Seen != nil {
		k.Seen.Put(id, d)
	}
}

func (k *Known) remember(id int64, d wire.Definition, unlessSince *uint64) bool {
	raw, members := d.JSON(), membersOf(d.List(wire.Participants))
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.defs.Get(id); ok && unlessSince != nil && e.put > *unlessSince {
		return false
	}
	k.puts++
	k.defs.Set(id, known{def: raw, members: members, put: k.puts, read: time.Now()})
	return true
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
		for id, e := range k.defs.Each() {
			if _, ok := list[id]; !ok && e.put <= began && e.has(userID) {
				e.unlisted = true
			}
		}
	}
}

// Get returns the definition that was read last.
func (k *Known) Get(id int64) (wire.Definition, bool) {
	e, ok := k.get(id)
	return wire.ParseDefinition(e.def), ok
}

func (k *Known) get(id int64) (known, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.defs.Get(id)
	if !ok {
		return known{}, false
	}
	return e, true
}

// Of returns a conversation of a user that was in the last list, if one is known.
func (k *Known) Of(userID string) (id int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for other, e := range k.defs.All() {
		if e.shows(userID) && (!ok || other < id) {
			id, ok = other, true
		}
	}
	return id, ok
}

// Len counts the definitions.
func (k *Known) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.defs.Len()
}

// Clear forgets everything.
func (k *Known) Clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.defs = few.Map[int64, known]{}
}
