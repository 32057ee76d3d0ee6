package outbox_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/outbox"
)

// copyOf is a message on the disk of the model.
type copyOf struct {
	n            int // which message it is: the order of acceptance
	conversation int64
}

// model is a server, a disk and a process that owns a queue. Everything random is
// drawn from one seed. crashAt is the step at which the process dies; the steps
// are the moments before and after each effect on disk or server.
type model struct {
	t        *testing.T
	rand     *rand.Rand
	q        *outbox.Queue
	now      time.Time
	disk     []copyOf
	server   map[int64][]int
	shown    map[int]time.Time // when a stored message becomes visible
	of       map[outbox.ID]copyOf
	asked    []outbox.Action
	accepted int
	kept     map[int]bool // accepted for good
	steps    int
	crashAt  int
	crashed  bool
	faults   bool
}

const (
	lag      = 4 * time.Second // of the server's replicas, less than Settle
	messages = 12
)

// step is a point at which the process may die.
func (m *model) step() bool {
	m.steps++
	if m.steps == m.crashAt {
		m.crashed = true
	}
	return m.crashed
}

func (m *model) boot() {
	m.crashed, m.asked, m.of = false, nil, map[outbox.ID]copyOf{}
	m.q = outbox.NewQueue(outbox.QueueConfig{Parallel: 3, Rand: m.rand})
	var conversations []int64
	for _, c := range m.disk {
		conversations = append(conversations, c.conversation)
	}
	for i, id := range m.q.Load(m.now, conversations) {
		m.of[id] = m.disk[i]
	}
}

func (m *model) accept() {
	c := copyOf{m.accepted, 1 + m.rand.Int64N(3)}
	m.accepted++
	id, err := m.q.Accept(c.conversation, false)
	require.NoError(m.t, err)
	m.of[id] = c
	if m.step() {
		return
	}
	m.disk = append(m.disk, c)
	m.kept[c.n] = true // once it is on the disk, it must arrive
	if m.step() {
		return
	}
	m.q.Saved(id)
}

// answer ends an action, in one of the ways in which it can end.
func (m *model) answer(a outbox.Action) {
	c := m.of[a.ID]
	fate := 0
	if m.faults {
		fate = m.rand.IntN(10)
	}
	if m.step() {
		return
	}
	switch a.Kind {
	case outbox.Send:
		switch {
		case fate == 9:
			m.q.Retry(m.now, a.ID, time.Duration(m.rand.IntN(2))*time.Second)
			return
		case fate == 8:
			m.q.Doubtful(m.now, a.ID)
			return
		}
		m.server[c.conversation] = append(m.server[c.conversation], c.n)
		m.shown[c.n] = m.now.Add(time.Duration(m.rand.Int64N(int64(lag))))
		if m.step() {
			return
		}
		if fate >= 5 {
			m.q.Doubtful(m.now, a.ID)
			return
		}
		m.q.Stored(a.ID)
	case outbox.LookUp:
		shown, stored := m.shown[c.n]
		switch {
		case fate == 9:
			m.q.Retry(m.now, a.ID, 0)
		case stored && !m.now.Before(shown):
			m.q.Stored(a.ID)
		default:
			m.q.Absent(a.ID)
		}
	case outbox.Forget:
		if fate == 9 {
			m.q.Retry(m.now, a.ID, 0)
			return
		}
		m.disk = slices.DeleteFunc(m.disk, func(o copyOf) bool { return o == c })
		if m.step() {
			return
		}
		m.q.Forgotten(a.ID)
	}
}

// run works until everything is sent, through the crash if there is one.
func (m *model) run() {
	m.boot()
	for range 10000 {
		if m.crashed {
			// It comes back at once or later.
			m.now = m.now.Add(time.Duration(m.rand.IntN(3)) * time.Second)
			m.boot()
		}
		if m.accepted < messages && m.rand.IntN(3) == 0 {
			m.accept()
			continue
		}
		a := m.q.Next(m.now)
		if a.Kind != outbox.Wait {
			m.asked = append(m.asked, a)
			if m.rand.IntN(2) == 0 {
				continue
			}
		}
		switch {
		case len(m.asked) > 0:
			i := m.rand.IntN(len(m.asked))
			a := m.asked[i]
			m.asked = slices.Delete(m.asked, i, i+1)
			m.answer(a)
		case !a.Until.IsZero():
			m.now = a.Until
		case m.accepted == messages:
			return
		}
	}
	require.Fail(m.t, "it never ends")
}

func (m *model) check(story string) {
	require.Zero(m.t, m.q.Len(), story)
	require.Empty(m.t, m.disk, story)
	rows := map[int]int{}
	for conversation, list := range m.server {
		require.True(m.t, slices.IsSorted(list), "%s: order of %d: %v", story, conversation, list)
		for _, n := range list {
			rows[n]++
		}
	}
	for n := range m.kept {
		require.Equal(m.t, 1, rows[n], "%s: rows of message %d", story, n)
	}
	require.Len(m.t, rows, len(m.kept), story)
}

func newModel(t *testing.T, seed uint64, crashAt int, faults bool) *model {
	return &model{
		t: t, rand: rand.New(rand.NewPCG(seed, 7)), now: start, server: map[int64][]int{}, shown: map[int]time.Time{},
		kept: map[int]bool{}, crashAt: crashAt, faults: faults,
	}
}

func TestEveryMessageIsStoredOnceAndInOrderWhereverTheProcessDies(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		for crashAt, steps := 0, 1; crashAt <= steps; crashAt++ {
			m := newModel(t, seed, crashAt, seed%4 != 0)
			m.run()
			m.check(fmt.Sprintf("seed %d, crash at step %d", seed, crashAt))
			if crashAt == 0 {
				steps = m.steps
				require.Greater(t, steps, 3*messages)
			}
		}
	}
}
