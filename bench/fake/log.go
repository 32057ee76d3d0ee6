package fake

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// PageSize is how many messages an answer has at most. Real services differ (Discord and
// Telegram give 100); with one size for all it is the libraries that are compared.
const PageSize = 200

// filler makes a text as long as one that people write.
var filler = strings.Repeat("a line of talk, ", 9)

// Text is the text of message seq: 152 characters.
func Text(seq int) string { return fmt.Sprintf("%s%08d", filler, seq) }

// Seq is the number in a text, 0 if the text is not one of [Text].
func Seq(text string) int {
	if len(text) != len(filler)+8 || text[:len(filler)] != filler {
		return 0
	}
	n, err := strconv.Atoi(text[len(filler):])
	if err != nil {
		return 0
	}
	return n
}

// GUID is an identifier that clients give message seq.
func GUID(seq int) string { return fmt.Sprintf("0b8f3f7e-6f0a-4d63-9d5e-%012d", seq) }

// epoch is when message 0 was sent; the others came a second apart.
var epoch = time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)

func sent(seq int) time.Time { return epoch.Add(time.Duration(seq) * time.Second) }

// messages is how many there are, and tells those who wait that there are more.
type messages struct {
	mu    sync.Mutex
	n     int
	grown chan struct{}
}

func (m *messages) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n += n
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
}

// count is how many there are.
func (m *messages) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n
}

// wait returns the count once it is more than after, or when ctx ends.
func (m *messages) wait(ctx context.Context, after int) int {
	for {
		m.mu.Lock()
		n := m.n
		if n <= after && m.grown == nil {
			m.grown = make(chan struct{})
		}
		grown := m.grown
		m.mu.Unlock()
		if n > after {
			return n
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return n
		}
	}
}
