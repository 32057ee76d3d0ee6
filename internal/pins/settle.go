package pins

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// Settle compares what was read since the last call with the pins, and stores new ones.
// It returns the Store's failure.
func (b *Book) Settle(ctx context.Context) error {
	values, load := b.begin()
	if load {
		raw, err := values.Pins(ctx)
		var stored map[int64]pin
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
	err := b.storeErr()
	b.mu.Unlock()
	if fresh == nil {
		return err
	}
	return b.save(ctx, values, fresh, adding)
}

// begin says whose pins are needed, and whether to read them.
func (b *Book) begin() (values Values, load bool) {
	current := b.cfg.Values()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.values == nil || b.values.PinsKey() != current.PinsKey() {
		b.values, b.loaded, b.trouble = current, false, nil
		b.others, b.fresh = nil, nil
		for _, e := range b.known.Each() {
			e.pin = ""
			b.reopen(e)
		}
	}
	return b.values, !b.loaded && b.pending > 0 && b.due()
}

// due reports whether the Store may be asked. mu is held.
func (b *Book) due() bool { return b.trouble == nil || !time.Now().Before(b.trouble.until) }

// note takes over what was read from the Store.
func (b *Book) note(values Values, stored map[int64]pin, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.values != values || b.loaded {
		return // another user's by now, or another call was faster
	}
	if b.store(err); err != nil {
		return
	}
	b.loaded = true
	b.adopt(stored)
}

// adopt makes what is stored the pins; those that are not stored yet stay, and those
// that there is no room for. mu is held.
func (b *Book) adopt(stored map[int64]pin) {
	for id := range stored {
		delete(b.fresh, id)
	}
	for id, hash := range b.fresh {
		stored[id] = pin{hash: hash}
	}
	for id, e := range b.known.Each() {
		p, ok := stored[id]
		delete(stored, id)
		if !ok && e.unsaved {
			continue
		}
		e.own, e.unsaved = p.own, false
		if p.hash != e.pin {
			e.pin = p.hash
			b.reopen(e)
		}
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
	for id, e := range b.known.Each() {
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
		case e.key == "" && e.pin == "": // there has never been one
			e.verdict = accepted
		case e.pin == fingerprint(b.values, id, e.key): // also that of none, once it was accepted
			e.verdict, e.first = accepted, e.key
		}
		if !e.told && e.verdict == changed {
			b.news = append(b.news, id)
		}
		e.told = e.verdict == changed
	}
	b.pending = 0
}

// report logs the keys that have changed, and once that there are too many. A Logger may
// call anything, so mu is not held.
func (b *Book) report() {
	b.mu.Lock()
	news, full := b.news, b.full && !b.toldFull
	b.news, b.toldFull = nil, b.toldFull || full
	b.mu.Unlock()
	for _, id := range news {
		b.cfg.Log.Warn("the key of a conversation is not the one that was seen before", "conversation", id)
	}
	if full {
		b.cfg.Log.Warn("there are more conversations than keys can be remembered of: those that the user writes in come first", "most", maxPins)
	}
}

// save stores pins.
func (b *Book) save(ctx context.Context, values Values, fresh map[int64]string, how manner) error {
	var merged map[int64]pin
	err := values.EditPins(ctx, func(old []byte) ([]byte, error) {
		var err error
		if merged, err = parse(old); err != nil {
			return nil, err
		}
		for id, hash := range fresh {
			merge(merged, id, hash, how)
		}
		return format(merged)
	})
	if err != nil {
		b.cfg.Log.Warn("storing the pins of keys failed", "error", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.values != values {
		return nil
	}
	if b.store(err); err != nil {
		return err
	}
	if merged != nil { // else a logout was faster
		for id := range fresh {
			if _, stored := merged[id]; !stored {
				b.full, err = true, errFull
				if e := b.known.At(id); e != nil {
					e.unsaved = true
				}
			}
		}
		maps.DeleteFunc(b.fresh, func(id int64, _ string) bool { _, tried := fresh[id]; return tried })
		if b.adopt(merged); len(b.fresh) == 0 {
			b.fresh = nil
		}
		b.judge()
	}
	if how == adding {
		return nil // it is that of the conversations concerned
	}
	return err
}

// own says that the user writes under a conversation's key: its pin is kept before those
// of conversations that others have put the user into.
func (b *Book) own(ctx context.Context, id int64) error {
	b.mu.Lock()
	e := b.known.At(id)
	values := b.values
	if e == nil || values == nil || e.pin == "" || e.own || !b.loaded || !b.due() {
		defer b.mu.Unlock()
		if e == nil || e.own {
			return nil
		}
		return b.storeErr()
	}
	fresh := map[int64]string{id: e.pin}
	b.mu.Unlock()
	defer b.report()
	return b.save(ctx, values, fresh, owning)
}

// Accept pins the key that a conversation's definition has now. A definition without a
// key is accepted, too: its bodies have the computed key from then on, and one that
// appears later has changed.
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
	delete(b.fresh, id)
	delete(b.failed, id)
	if e := b.known.At(id); e != nil {
		e.first = d.BodyKey() // else judge would pin the former one again
	}
	b.mu.Unlock()
	defer b.report()
	return b.save(ctx, values, map[int64]string{id: fingerprint(values, id, d.BodyKey())}, accepting)
}
