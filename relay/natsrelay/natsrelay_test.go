package natsrelay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/natsproxy"
	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/relay/natsrelay"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestEventsAndTheirPositionAreOneStep(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{}).ClientURL())
	r := open(t, js)
	p, err := r.Load(t.Context())
	require.NoError(t, err)
	assert.Zero(t, p)

	at, err := r.Commit(t.Context(), 0, []byte("one"), events(1, 3))
	require.NoError(t, err)
	p, err = r.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, relay.Position{Data: []byte("one"), Version: at}, p)

	next, err := r.Commit(t.Context(), at, []byte("two"), nil)
	require.NoError(t, err)
	assert.Greater(t, next, at)
	last, err := r.Commit(t.Context(), next, []byte("three"), events(4, 999+3))
	require.NoError(t, err)
	assert.Equal(t, upTo(1002), strings.Join(stored(t, js), " "))

	for _, old := range []uint64{0, at, next, last + 1} {
		for n := range 2 {
			_, err = r.Commit(t.Context(), old, []byte("zombie"), events(1, n))
			require.ErrorIs(t, err, relay.ErrFenced)
		}
	}
	again := open(t, js) // as another process
	p, err = again.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, relay.Position{Data: []byte("three"), Version: last}, p)
	assert.Len(t, stored(t, js), 1002, "nothing of who was refused is stored")

	other, err := natsrelay.Open(t.Context(), js, "CHAT", "other", natsrelay.Timeout(patience))
	require.NoError(t, err)
	_, err = other.Commit(t.Context(), 0, []byte("one"), events(1003, 1003))
	require.NoError(t, err, "shards do not disturb each other")
	p, err = r.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, last, p.Version)

	stream, err := js.Stream(t.Context(), "CHAT")
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1003+2, info.State.Msgs, "one position a shard")
}

func TestWithoutTheExpectedSequenceAZombieIsLetIn(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{}).ClientURL())
	r := open(t, js, natsrelay.WithoutFence())
	for range 2 {
		_, err := r.Commit(t.Context(), 0, []byte("one"), events(1, 1))
		require.NoError(t, err)
	}
	assert.Len(t, stored(t, js), 2, "which is why it is there")
}

func TestALostAnswerStoresABatchOnce(t *testing.T) {
	t.Parallel()
	s := own(t, server.Options{})
	direct := connect(t, s.ClientURL())
	open(t, direct)
	p := natsproxy.New(t, s.ClientURL(), natsproxy.Sometimes(4))
	var r *natsrelay.Relay
	for r == nil {
		var err error
		if r, err = natsrelay.Open(t.Context(), connect(t, p.URL()), "CHAT", "shard", natsrelay.Timeout(patience)); err != nil {
			require.ErrorIs(t, err, natsrelay.ErrUnavailable)
		}
	}
	const size = 5
	at, batches := uint64(0), 0
	for ; batches < 60 || p.Cuts() <= 10; batches++ {
		i := batches
		next, err := r.Commit(t.Context(), at, fmt.Append(nil, i), events(i*size+1, (i+1)*size))
		require.NoError(t, err, "nobody else writes")
		at = next
	}
	assert.Equal(t, upTo(batches*size), strings.Join(stored(t, direct), " "))
}

// Owners that push each other aside, behind a network that fails: whoever is refused reads the
// position, and goes on from there.
func TestOwnersThatPushEachOtherAsideLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	s := own(t, server.Options{})
	direct := connect(t, s.ClientURL())
	open(t, direct)
	const goal, size = 300, 3
	const owners = 3
	var wg, begun sync.WaitGroup
	begun.Add(owners) // all go on from the same position, so all but one are refused
	var fenced, doubtful atomic.Int64
	for range owners {
		p := natsproxy.New(t, s.ClientURL(), natsproxy.Sometimes(10))
		js := connect(t, p.URL())
		wg.Go(func() {
			ctx := t.Context()
			var r *natsrelay.Relay
			for r == nil {
				r, _ = natsrelay.Open(ctx, js, "CHAT", "shard", natsrelay.Timeout(patience))
			}
			for first := true; ; first = false {
				at, err := r.Load(ctx)
				if first {
					begun.Done()
					begun.Wait()
				}
				if !assert.NoError(t, err) {
					return
				}
				for { // as long as it is the owner
					n, _ := strconv.Atoi(string(at.Data))
					if n >= goal {
						return
					}
					data := strconv.AppendInt(nil, int64(n+size), 10)
					next, err := r.Commit(ctx, at.Version, data, events(n+1, n+size))
					if errors.Is(err, relay.ErrFenced) {
						fenced.Add(1)
						break
					}
					if err != nil {
						doubtful.Add(1)
						break
					}
					at = relay.Position{Data: data, Version: next}
				}
			}
		})
	}
	wg.Wait()
	assert.Positive(t, fenced.Load())
	assert.Equal(t, upTo(goal), strings.Join(stored(t, direct), " "))
}

func TestAPositionOutlivesTheEvents(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{}).ClientURL())
	r := open(t, js, natsrelay.MaxAge(time.Second))
	at, err := r.Commit(t.Context(), 0, []byte("one"), events(1, 3))
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "CHAT")
	require.NoError(t, err)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		info, err := stream.Info(context.Background())
		assert.NoError(t, err)
		assert.EqualValues(t, 1, info.State.Msgs)
	}, patience, 50*time.Millisecond, "events expire")
	p, err := r.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, relay.Position{Data: []byte("one"), Version: at}, p)
	_, err = r.Commit(t.Context(), at, []byte("two"), events(4, 4))
	require.NoError(t, err)
}

func TestAnEventThatIsTooLargeGoesAsAStub(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{MaxPayload: 64 << 10}).ClientURL())
	r := open(t, js)
	all := events(1, 3)
	all[1].Data, all[1].Stub = []byte(strings.Repeat("secret", 20<<10)), []byte("stub")
	at, err := r.Commit(t.Context(), 0, nil, all)
	require.NoError(t, err)
	assert.Equal(t, "1 2 3", strings.Join(stored(t, js), " "))
	stream, err := js.Stream(t.Context(), "CHAT")
	require.NoError(t, err)
	m, err := stream.GetLastMsgForSubject(t.Context(), "chat.msg.2")
	require.NoError(t, err)
	assert.Equal(t, "stub", string(m.Data))

	all[1].Stub = nil
	_, err = r.Commit(t.Context(), at, nil, all)
	require.ErrorContains(t, err, "max_payload")
	assert.NotContains(t, err.Error(), "secret")
	_, err = r.Commit(t.Context(), at, make([]byte, 65<<10), nil)
	require.ErrorContains(t, err, "max_payload")
	_, err = r.Commit(t.Context(), at, nil, events(1, 1000))
	require.ErrorIs(t, err, relay.ErrTooMany)
	_, err = r.Commit(t.Context(), at, nil, events(4, 4))
	require.NoError(t, err, "the others go on")
}

func TestAStreamThatWouldLoseIsRefusedWithTheSettingAndTheFix(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{}).ClientURL())
	// One stays, and each has a name of its own, since a server may still be removing the files of
	// one that is deleted, and with the last one the folder of all.
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "STAYS", Subjects: []string{"stays"}})
	require.NoError(t, err)
	n := 0
	for said, change := range map[string]func(*jetstream.StreamConfig){
		"its subjects":         func(c *jetstream.StreamConfig) { c.Subjects = []string{"chat.msg.>"} },
		"allow_atomic":         func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false },
		"allow_msg_ttl":        func(c *jetstream.StreamConfig) { c.AllowMsgTTL = false },
		"allow_rollup_hdrs":    func(c *jetstream.StreamConfig) { c.AllowRollup = false },
		"max_msgs_per_subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 10 },
		"discard is":           func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 },
		"max_msg_size":         func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 },
		"retention is":         func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"storage is memory":    func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"no_ack":               func(c *jetstream.StreamConfig) { c.NoAck = true },
		"subject transform": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "x", Destination: "y"}
		},
	} {
		n++
		name := fmt.Sprintf("CHAT%d", n)
		cfg := jetstream.StreamConfig{Name: name, Subjects: []string{"chat.msg.>", "chat.pos.>"}, AllowAtomicPublish: true, AllowMsgTTL: true, AllowRollup: true}
		change(&cfg)
		_, err := js.CreateStream(t.Context(), cfg)
		require.NoError(t, err, said)
		_, err = natsrelay.Open(t.Context(), js, name, "shard", natsrelay.Timeout(patience))
		assert.ErrorIs(t, err, relay.ErrSettings, said)
		assert.ErrorContains(t, err, said)
		require.NoError(t, js.DeleteStream(t.Context(), name))
	}
	for said, open := range map[string]func() error{
		"js is nil": func() error { _, err := natsrelay.Open(t.Context(), nil, "CHAT", "shard"); return err },
		"stream":    func() error { _, err := natsrelay.Open(t.Context(), js, "A.B", "shard"); return err },
		"shard":     func() error { _, err := natsrelay.Open(t.Context(), js, "CHAT", ""); return err },
		"Replicas": func() error {
			_, err := natsrelay.Open(t.Context(), js, "CHAT", "s", natsrelay.Replicas(0))
			return err
		},
		"MaxAge":  func() error { _, err := natsrelay.Open(t.Context(), js, "CHAT", "s", natsrelay.MaxAge(1)); return err },
		"Timeout": func() error { _, err := natsrelay.Open(t.Context(), js, "CHAT", "s", natsrelay.Timeout(1)); return err },
	} {
		assert.ErrorContains(t, open(), said)
	}
}

func TestAPositionOfANewerVersionIsNotReplaced(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{}).ClientURL())
	r := open(t, js)
	m := nats.NewMsg("chat.pos.shard")
	m.Header.Set("Chat-Position", "2")
	_, err := js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	_, err = r.Load(t.Context())
	require.ErrorIs(t, err, relay.ErrNewer)
	_, err = js.Publish(t.Context(), "chat.pos.shard", []byte("somebody else's"))
	require.NoError(t, err)
	_, err = r.Load(t.Context())
	require.ErrorContains(t, err, "no position of this package")
}

func TestAServerThatIsAwayIsSaidAndFoundAgain(t *testing.T) {
	t.Parallel()
	s := own(t, server.Options{})
	p := natsproxy.New(t, s.ClientURL(), nil)
	js := connect(t, p.URL())
	patient, r := open(t, js), hasty(t, js)
	at, err := patient.Commit(t.Context(), 0, []byte("one"), events(1, 1))
	require.NoError(t, err)
	p.Down(true)
	_, err = r.Commit(t.Context(), at, []byte("two"), events(2, 2))
	require.ErrorIs(t, err, natsrelay.ErrUnavailable)
	_, err = r.Load(t.Context())
	require.ErrorIs(t, err, natsrelay.ErrUnavailable)
	_, err = natsrelay.Open(t.Context(), js, "CHAT", "shard", natsrelay.Timeout(hurry))
	require.ErrorIs(t, err, natsrelay.ErrUnavailable)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err = r.Load(ctx)
	require.ErrorContains(t, err, "enough")
	p.Down(false)
	// The refused batch may still wait in the client, and arrive at last. Then the position says so.
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		last, err := patient.Load(context.Background())
		require.NoError(t, err)
		if last.Version == at {
			_, err = patient.Commit(context.Background(), at, []byte("two"), events(2, 2))
			require.NoError(t, err)
		}
	}, patience, 10*time.Millisecond)
	assert.Equal(t, "1 2", strings.Join(stored(t, connect(t, s.ClientURL())), " "))
}

// A stream that was emptied, or another cluster of the same name, must not get everything again.
func TestAnotherStreamOfTheSameNameIsRefused(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{}).ClientURL())
	shared := storage.NewMemory()
	use := func(r relay.Relay) error {
		s, err := relay.NewStore(shared, "name", r)
		require.NoError(t, err)
		return s.Set(t.Context(), "x/consume/name/base", []byte("position"))
	}
	require.NoError(t, use(open(t, js)))
	require.NoError(t, use(open(t, js)))
	require.NoError(t, js.DeleteStream(t.Context(), "CHAT"))
	require.ErrorIs(t, use(open(t, js)), relay.ErrOtherStream)

	other := connect(t, own(t, server.Options{}).ClientURL())
	elsewhere, err := relay.NewStore(storage.NewMemory(), "name", open(t, other))
	require.NoError(t, err)
	require.NoError(t, elsewhere.Set(t.Context(), "x/consume/name/base", []byte("position")))
	require.ErrorIs(t, use(open(t, other)), relay.ErrOtherStream)
	p, err := open(t, other).Load(t.Context())
	require.NoError(t, err)
	assert.NotZero(t, p.Version, "it is left alone")
}

func TestACommitToAStreamThatWasDeletedSaysSo(t *testing.T) {
	t.Parallel()
	js := connect(t, own(t, server.Options{}).ClientURL())
	r := hasty(t, js)
	require.NoError(t, js.DeleteStream(t.Context(), "CHAT"))
	// A server that says nothing in the time that a call has says not that there is no stream either.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := r.Commit(t.Context(), 0, []byte("position"), nil)
		assert.ErrorIs(c, err, natsrelay.ErrUnavailable)
		assert.ErrorContains(c, err, "stream CHAT was deleted, or has no leader now")
	}, patience, time.Millisecond)
}

// Each attempt sends the whole batch, also when there is no room for it. The pauses between them make an end of that,
// however fast or slow the machine is.
func TestWhoIsRefusedForTooManyOpenBatchesSendsTheBatchAFewTimesOnly(t *testing.T) {
	t.Parallel()
	url := own(t, server.Options{}).ClientURL()
	js, others := connect(t, url), connect(t, url).Conn()
	open(t, js)
	send := func(batch, n int) {
		m := nats.NewMsg("chat.msg.1")
		m.Header.Set("Nats-Batch-Id", fmt.Sprint("another's ", batch))
		m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(n))
		if n == 2 {
			m.Header.Set("Nats-Batch-Commit", "1")
		}
		_, err := others.RequestMsg(m, patience)
		require.NoError(t, err)
	}
	for i := range 50 {
		send(i, 1)
	}
	r := open(t, js, natsrelay.Timeout(time.Second))
	before := js.Conn().Stats().OutMsgs
	_, err := r.Commit(t.Context(), 0, []byte("1"), events(1, 200))
	if err != nil {
		require.ErrorIs(t, err, natsrelay.ErrUnavailable)
	}
	const most = 9 // pauses of 10, 20, 40, 80, 160 and then 250 ms are the shortest
	assert.LessOrEqual(t, int(js.Conn().Stats().OutMsgs-before), most*201)
	for i := range 50 {
		send(i, 2)
	}
	if err != nil {
		if _, err = open(t, js).Commit(t.Context(), 0, []byte("1"), events(1, 200)); !errors.Is(err, relay.ErrFenced) { // the answer was lost
			require.NoError(t, err)
		}
	}
	assert.Equal(t, upTo(200), strings.Join(slices.DeleteFunc(stored(t, js), func(id string) bool { return id == "" }), " "))
}
