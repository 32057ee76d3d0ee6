package pins

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// maxPins bounds what is stored: about 800 KB, of the megabyte that a value may have.
// Keys of further conversations are pinned in the process only.
const maxPins = 20_000

// saved is what is stored of a user.
type saved struct {
	Version int              `json:"v"`
	Pins    map[int64]string `json:"pins"`
}

func parse(raw []byte) (map[int64]string, error) {
	if raw == nil {
		return map[int64]string{}, nil
	}
	var s saved
	if err := json.Unmarshal(raw, &s); err != nil || s.Version != 1 {
		return nil, errors.New("storage: the pins of keys are damaged, or of a later version")
	}
	if s.Pins == nil {
		s.Pins = map[int64]string{}
	}
	return s.Pins, nil
}

// fingerprint is a keyed hash of a key: half of HMAC-SHA256 under the name of the value
// that it is stored in, so that equal keys of two conversations or users do not show.
func fingerprint(values Values, id int64, key string) string {
	mac := hmac.New(sha256.New, []byte(values.PinsKey()))
	mac.Write([]byte(strconv.FormatInt(id, 10) + ":" + key)) //nolint:errcheck // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// Settle compares what was read since the last call with the pins, and stores new ones.
// It returns the Store's failure.
func (b *Book) Settle(ctx context.Context) error {
	values, load := b.begin()
	if load {
		raw, err := values.Pins(ctx)
		var stored map[int64]string
		if err == nil {
			stored, err = parse(raw)
		}
		if err != nil {
			b.cfg.Log.Warn("reading the pins of keys failed", "error", err)
		}
		b.note(values, stored, err)
	}
	defer b.report()
	b.mu.Lock()
	b.judge()
	var fresh map[int64]string
	if b.loaded && len(b.fresh) > 0 && b.due() {
		fresh = maps.Clone(b.fresh)
	}
	err := b.err
	b.mu.Unlock()
	if fresh == nil {
		return err
	}
	return b.save(ctx, values, fresh, false)
}

// begin says whose pins are needed, and whether to read them.
func (b *Book) begin() (values Values, load bool) {
	current := b.cfg.Values()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.values == nil || b.values.PinsKey() != current.PinsKey() {
		b.values, b.loaded, b.err = current, false, nil
		b.others, b.fresh = nil, nil
		for _, e := range b.known {
			e.pin = ""
			b.reopen(e)
		}
	}
	return b.values, !b.loaded && b.pending > 0 && b.due()
}

// due reports whether the Store may be asked. mu is held.
func (b *Book) due() bool { return b.err == nil || !time.Now().Before(b.retry) }

// note takes over what was read from the Store.
func (b *Book) note(values Values, stored map[int64]string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.values != values || b.loaded {
		return // another user's by now, or another call was faster
	}
	if b.err = err; err != nil {
		b.retry = time.Now().Add(retryDelay)
		return
	}
	b.loaded = true
	b.adopt(stored)
}

// adopt makes what is stored the pins; those that are not stored yet stay. mu is held.
func (b *Book) adopt(stored map[int64]string) {
	for id := range stored {
		delete(b.fresh, id)
	}
	maps.Copy(stored, b.fresh)
	for id, e := range b.known {
		if stored[id] != e.pin {
			e.pin = stored[id]
			b.reopen(e)
		}
		delete(stored, id)
	}
	if b.others = stored; len(stored) == 0 {
		b.others = nil
	}
}

// judge gives every entry a verdict. mu is held.
func (b *Book) judge() {
	if b.pending == 0 || b.values == nil || b.cfg.Strict && !b.loaded {
		return
	}
	for id, e := range b.known {
		if e.verdict != unsettled {
			continue
		}
		if e.pin == "" && e.first != "" {
			e.pin = fingerprint(b.values, id, e.first)
			if b.fresh == nil { // mostly there are none
				b.fresh = map[int64]string{}
			}
			b.fresh[id] = e.pin
		}
		e.verdict = changed
		switch {
		case !e.text:
		case e.key == "":
			if e.pin == "" {
				e.verdict = accepted
			}
		case e.pin == fingerprint(b.values, id, e.key):
			e.verdict, e.first = accepted, e.key
		}
		if !e.told && e.verdict == changed {
			b.news = append(b.news, id)
		}
		e.told = e.verdict == changed
	}
	b.pending = 0
}

// report logs the keys that have changed. A Logger may call anything, so mu is not held.
func (b *Book) report() {
	b.mu.Lock()
	news := b.news
	b.news = nil
	b.mu.Unlock()
	for _, id := range news {
		b.cfg.Log.Warn("the key of a conversation is not the one that was seen before", "conversation", id)
	}
}

// save stores pins. force: over those of others; "" removes one.
func (b *Book) save(ctx context.Context, values Values, fresh map[int64]string, force bool) error {
	var merged map[int64]string
	err := values.EditPins(ctx, func(old []byte) ([]byte, error) {
		var err error
		if merged, err = parse(old); err != nil {
			return nil, err
		}
		for id, pin := range fresh {
			switch {
			case force && pin == "":
				delete(merged, id)
			case force || merged[id] == "" && len(merged) < maxPins:
				merged[id] = pin
			}
		}
		return json.Marshal(saved{1, merged})
	})
	if err != nil {
		b.cfg.Log.Warn("storing the pins of keys failed", "error", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.values != values {
		return nil
	}
	if b.err = err; err != nil {
		b.retry = time.Now().Add(retryDelay)
		return err
	}
	if merged != nil { // else a logout was faster
		b.adopt(merged)
		maps.DeleteFunc(b.fresh, func(id int64, _ string) bool { _, tried := fresh[id]; return tried })
		if len(b.fresh) == 0 {
			b.fresh = nil
		}
		b.judge()
	}
	return nil
}

// Accept pins the key that a conversation's definition has now. A definition without a
// key is accepted, too: its bodies have the computed key from then on.
func (b *Book) Accept(ctx context.Context, id int64) error {
	d, err := b.cfg.Read(ctx, id)
	if err != nil {
		return err
	}
	if !d.BodyKeyIsText() {
		return errNotText
	}
	if err := b.Settle(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	values := b.values
	if values == nil {
		b.mu.Unlock()
		return fmt.Errorf("conversation %d: forgotten meanwhile", id)
	}
	pin := ""
	if d.BodyKey() != "" {
		pin = fingerprint(values, id, d.BodyKey())
	}
	delete(b.fresh, id)
	delete(b.failed, id)
	if e := b.known[id]; e != nil {
		e.first = d.BodyKey() // else judge would pin the former one again
	}
	b.mu.Unlock()
	return b.save(ctx, values, map[int64]string{id: pin}, true)
}
