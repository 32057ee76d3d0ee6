package chat_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// sends is how many messages the storm sends: 1,500 every day, 3,000 in a long test,
// or FLIPLET_CHAT_OUTBOX_SENDS.
func sends(t *testing.T) int {
	text, set := os.LookupEnv("FLIPLET_CHAT_OUTBOX_SENDS")
	if !set {
		return longtest.Size(1500, 3000)
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "FLIPLET_CHAT_OUTBOX_SENDS")
	return n
}

// storm is a backend that sends through a network that loses 30 % of the answers
// and 10 % of the requests, on a machine that loses power again and again.
type storm struct {
	*world
	rand          *rand.Rand
	disk          storage.Store
	conversations []int64
	sends         int
	accepted      int // of them by an outbox
	crashes       int
	late          sync.WaitGroup
	blind         bool // look-ups find nothing
}

func newStorm(t *testing.T, sends int, seed uint64) *storm {
	w := newWorld(t, fliplettest.InProcess(), fliplettest.WithSeed(seed))
	s := &storm{world: w, rand: rand.New(rand.NewPCG(seed, 1)), disk: storage.NewMemory(), sends: sends}
	for i := range max(10, sends/100) {
		s.conversations = append(s.conversations, w.addTalk(fmt.Sprint("Talk ", i)))
	}
	w.Sometimes(0.3, fliplettest.Insert, fliplettest.LoseAnswer())
	w.Sometimes(0.1, fliplettest.Insert, fliplettest.LoseRequest())
	return s
}

// life runs one process until everything is sent or the power goes, and reports
// which it was.
func (s *storm) life() (finished bool) {
	m := &machine{
		disk: s.disk, network: s.Transport(), cutAt: 20 + s.rand.Int64N(4000), how: cut(s.rand.IntN(int(cuts))), blind: s.blind,
		late: func(do func()) {
			s.late.Go(func() {
				time.Sleep(3 * time.Second)
				do()
			})
		},
	}
	// A small limit, since a process that dies young must get through what is left
	// before it adds to it.
	c := m.boot(s.world, func(o *chat.Options) { o.Outbox.Limit = 200 })
	defer func() { require.NoError(s.t, c.Close()) }()
	ctx := s.t.Context()
	_, err := c.Login(ctx, chat.M{"Email": "jane@example.org"})
	for err == nil && s.accepted < s.sends {
		n := len(s.conversations)
		d := chat.Draft{Body: "x", GUID: fmt.Sprint(s.accepted / n)}
		_, err = c.Outbox().Add(ctx, s.conversations[s.accepted%n], d)
		switch {
		case err == nil:
			s.accepted++
		case errors.Is(err, chat.ErrOutboxFull):
			time.Sleep(time.Second)
			err = nil
		}
	}
	flushed := make(chan error, 1)
	if err == nil {
		go func() { flushed <- c.Outbox().Flush(ctx) }()
		for err == nil {
			select {
			case err = <-flushed:
				if err == nil && !m.dead.Load() {
					return true
				}
			case <-time.After(time.Second):
				if m.dead.Load() {
					err = errPower
				}
			}
		}
	}
	require.True(s.t, m.dead.Load(), "%v", err)
	s.crashes++
	if s.crashes%50 == 0 && testing.Verbose() {
		s.t.Logf("%d crashes, %d accepted, %d inserts tried", s.crashes, s.accepted, s.Count(fliplettest.Insert))
	}
	return false
}

// count compares what was sent with what is there.
func (s *storm) count() (rows, doubled, missing, disordered int) {
	n := len(s.conversations)
	for i, id := range s.conversations {
		seen := map[int]bool{}
		last := -1
		for _, guid := range guids(s.world, id) {
			k, err := strconv.Atoi(guid)
			require.NoError(s.t, err)
			rows++
			switch {
			case seen[k]:
				doubled++
			case k < last:
				disordered++
			}
			seen[k] = true
			last = max(last, k)
		}
		missing += (s.sends-i+n-1)/n - len(seen)
	}
	return rows, doubled, missing, disordered
}

func (s *storm) rage() {
	for !s.life() {
	}
	s.late.Wait()
}

// With FLIPLET_CHAT_OUTBOX_SENDS=100000 this takes most of a minute.
func TestOutboxStoresEachMessageOnceAndInOrderWhateverIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(t, sends(t), 1)
		s.rage()
		rows, doubled, missing, disordered := s.count()
		t.Logf("%d sends, %d crashes, %d requests, %d inserts tried: %d rows, %d doubled, %d missing, %d out of order",
			s.sends, s.crashes, s.Count("PUT /v1/data-sources/:ds/data")+s.Count(fliplettest.Query), s.Count(fliplettest.Insert), rows, doubled, missing, disordered)
		assert.Equal(t, s.sends, rows)
		assert.Zero(t, doubled)
		assert.Zero(t, missing)
		assert.Zero(t, disordered)
		assert.Positive(t, s.crashes)
	})
}

func TestWithoutLookUpsTheSameStormDoublesMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(t, min(sends(t), 3000), 1)
		s.blind = true
		s.rage()
		rows, doubled, missing, _ := s.count()
		t.Logf("%d sends, %d crashes: %d rows, %d doubled", s.sends, s.crashes, rows, doubled)
		assert.Zero(t, missing)
		assert.Greater(t, doubled, s.sends/10)
	})
}

// Power may go at any write, read or request: each of them once, in each way.
func TestOutboxSurvivesAPowerCutAtEveryOperation(t *testing.T) {
	texts := strings.Fields("a b c d e")
	ways := map[string]cut{"before": before, "after": after, "on the wire": onTheWire}
	for name, how := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := int64(1); ; at++ {
				cutHere := false
				synctest.Test(t, func(t *testing.T) {
					s := newStorm(t, len(texts), 1)
					s.Release() // nothing else goes wrong
					conv := s.conversations[0]
					add := func(m *machine) bool {
						c := m.boot(s.world)
						defer func() { require.NoError(t, c.Close()) }()
						ctx, off := context.WithCancel(t.Context())
						defer off()
						m.off = off
						_, err := c.Login(ctx, chat.M{"Email": "jane@example.org"})
						for i := 0; err == nil && i < len(texts); i++ {
							_, err = c.Message(ctx, conv, chat.Draft{Body: texts[i], GUID: texts[i]})
						}
						return err == nil && !m.dead.Load()
					}
					late := func(do func()) { s.late.Go(func() { time.Sleep(3 * time.Second); do() }) }
					cutHere = !add(&machine{disk: s.disk, network: s.Transport(), cutAt: at, how: how, late: late})
					require.True(t, add(&machine{disk: s.disk, network: s.Transport()}), "cut at %d", at)
					s.late.Wait()
					assert.Equal(t, texts, guids(s.world, conv), "cut at %d", at)
				})
				if !cutHere {
					assert.Greater(t, at, int64(20), "operations in a run")
					return
				}
			}
		})
	}
}
