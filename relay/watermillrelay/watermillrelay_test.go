package watermillrelay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/relay/watermillrelay"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// publisher keeps what it gets, and fails before or after it for some.
type publisher struct {
	got  []*message.Message
	fail map[int]bool // the number of the call: the message is taken all the same
	n    int
}

var errBroker = errors.New("the broker is away")

func (p *publisher) Publish(_ string, all ...*message.Message) error {
	p.n++
	taken, fails := p.fail[p.n]
	if !fails || taken {
		p.got = append(p.got, all...)
	}
	if fails {
		return errBroker
	}
	return nil
}

func (p *publisher) Close() error { return nil }

func events(first, last int) (all []relay.Event) {
	for id := first; id <= last; id++ {
		all = append(all, relay.Event{Conversation: 7, Message: int64(id), Version: "v", Data: fmt.Appendf(nil, "event %d", id)})
	}
	return all
}

func open(t *testing.T, p message.Publisher, s storage.Store) *watermillrelay.Relay {
	t.Helper()
	r, err := watermillrelay.New(p, "chat", s, "shard")
	require.NoError(t, err)
	return r
}

// Whatever fails, each event is published at least once, in order, and with one UUID.
func TestEventsArePublishedAtLeastOnceWithStableIDs(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]map[int]bool{"nothing fails": {}, "answers are lost": {2: true, 5: true}, "publishes fail": {1: false, 4: false, 5: false}} {
		p, store := &publisher{fail: fail}, storage.NewMemory()
		for done := 0; done < 9; {
			r := open(t, p, store) // as another process
			at, err := r.Load(t.Context())
			require.NoError(t, err)
			done = len(at.Data)
			if _, err := r.Commit(t.Context(), at.Version, make([]byte, done+3), events(done+1, done+3)); err == nil {
				done += 3
			} else {
				require.ErrorIs(t, err, errBroker)
			}
		}
		ids, next := map[string]string{}, 1
		for _, m := range p.got {
			id := m.Metadata.Get(watermillrelay.Message)
			if ids[id] == "" {
				assert.Equal(t, fmt.Sprint(next), id, "%s: a message before its turn", name)
				next++
				ids[id] = m.UUID
			}
			assert.Equal(t, ids[id], m.UUID, name)
			assert.Equal(t, "event "+id, string(m.Payload))
			assert.Equal(t, "7", m.Metadata.Get(watermillrelay.Conversation))
		}
		assert.Len(t, ids, 9, name)
		if len(fail) == 0 {
			assert.Len(t, p.got, 9, "nothing is repeated without a reason")
		}
	}
}

// hung is a publisher that takes an event only when it is let go.
type hung struct {
	publisher
	let chan struct{}
}

func (p *hung) Publish(topic string, all ...*message.Message) error {
	<-p.let
	return p.publisher.Publish(topic, all...)
}

// A publisher of Watermill gets no context. One that hangs must not keep the process from ending,
// and what it has in hand must not come behind later events.
func TestAHungPublisherHoldsNoStepBeyondItsContextAndIsNotOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &hung{let: make(chan struct{})}
		r := open(t, p, storage.NewMemory())
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			release := time.AfterFunc(time.Minute, func() { close(p.let) })
			_, err := r.Commit(ctx, 0, []byte("p"), events(1, 3))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(began))
			release.Stop()
			cancel()
		}
		time.AfterFunc(time.Second, func() { close(p.let) })
		_, err := r.Commit(t.Context(), 0, []byte("p"), events(1, 3))
		require.NoError(t, err)
		var order []string
		for _, m := range p.got {
			order = append(order, m.Metadata.Get(watermillrelay.Message))
		}
		assert.Equal(t, []string{"1", "1", "2", "3"}, order, "the one in hand comes first")
	})
}

func TestAPanicOfThePublisherGoesOn(t *testing.T) {
	t.Parallel()
	r := open(t, panics{}, storage.NewMemory())
	for range 2 { // and the turn is given back
		assert.PanicsWithValue(t, "broken", func() { _, _ = r.Commit(t.Context(), 0, nil, events(1, 1)) })
	}
}

type panics struct{ message.Publisher }

func (panics) Publish(string, ...*message.Message) error { panic("broken") }

func TestWhoDoesNotKnowThePositionIsRefused(t *testing.T) {
	t.Parallel()
	p, store := &publisher{}, storage.NewMemory()
	r := open(t, p, store)
	at, err := r.Commit(t.Context(), 0, []byte("one"), events(1, 1))
	require.NoError(t, err)
	_, err = open(t, p, store).Commit(t.Context(), 0, []byte("zombie"), events(1, 1))
	require.ErrorIs(t, err, relay.ErrFenced)
	assert.Len(t, p.got, 1, "it is refused before it publishes")
	now, err := r.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, relay.Position{Data: []byte("one"), Version: at}, now)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err = r.Commit(ctx, at, nil, events(2, 2))
	require.Error(t, err)
	require.NoError(t, store.Set(t.Context(), "watermill/shard/position", []byte("x")))
	_, err = r.Load(t.Context())
	require.ErrorContains(t, err, "no position")
}

func TestBadArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	s := storage.NewMemory()
	for said, open := range map[string]func() error{
		"p is nil": func() error { _, err := watermillrelay.New(nil, "chat", s, "shard"); return err },
		"topic":    func() error { _, err := watermillrelay.New(&publisher{}, "", s, "shard"); return err },
		"s is nil": func() error { _, err := watermillrelay.New(&publisher{}, "chat", nil, "shard"); return err },
		"shard":    func() error { _, err := watermillrelay.New(&publisher{}, "chat", s, ""); return err },
	} {
		assert.ErrorContains(t, open(), said)
	}
}
