package bodies

import (
	"context"
	"sync"
	"time"
)

const (
	// maxGiven is how many conversations' passphrases are remembered.
	maxGiven = 4096
	// patience is how long a page waits for the caller's Keys, once: they may make
	// requests, and other messages must not wait for that.
	patience = 100 * time.Millisecond
	// giveUp is how long they may take, and how long they are not asked again after that.
	giveUp = 5 * time.Second
)

// given are passphrases of the caller's Keys. Whether a row is genuine is asked for each
// row of a page, before any of its messages is made, so they are kept.
type given struct {
	mu      sync.Mutex
	keys    map[int64]string
	retryAt map[int64]time.Time // of those that failed
}

// keep remembers a passphrase.
func (g *given) keep(conversation int64, key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys == nil || len(g.keys) >= maxGiven {
		g.keys = map[int64]string{}
	}
	g.keys[conversation] = key
	delete(g.retryAt, conversation)
}

// find returns a passphrase that was kept. ask: there is none, and it is time to ask
// for it.
func (g *given) find(conversation int64) (key string, ok, ask bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if key, ok = g.keys[conversation]; ok {
		return key, true, false
	}
	if time.Now().Before(g.retryAt[conversation]) {
		return "", false, false
	}
	if g.retryAt == nil || len(g.retryAt) >= maxGiven {
		g.retryAt = map[int64]time.Time{}
	}
	g.retryAt[conversation] = time.Now().Add(giveUp)
	return "", false, true
}

// atHand is a conversation's passphrase, false if it is not known. It makes no request
// where the keys are its own; else the caller's Keys are asked once.
func (b *Bodies) atHand(ctx context.Context, conversation int64) (string, bool) {
	if b.Own != nil {
		return b.Own.AtHand(conversation)
	}
	key, ok, ask := b.given.Get().find(conversation)
	if !ask {
		return key, ok
	}
	given := make(chan string, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, giveUp)
		defer cancel()
		key, err := b.Keys.Key(ctx, conversation)
		if err != nil || key == "" {
			close(given)
			return
		}
		b.given.Get().keep(conversation, key)
		given <- key
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case key, ok = <-given:
		return key, ok
	case <-timer.C:
	case <-ctx.Done():
	}
	return "", false
}
