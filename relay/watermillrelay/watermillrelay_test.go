package watermillrelay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

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
