package natsrelay_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/relay/natsrelay"
)

// role is what a process of the tests plays, "" for the tests themselves.
const role = "NATSRELAY_ROLE"

const (
	// patience is for what will happen, on a machine that does much else.
	patience = time.Minute
	// hurry is for what will not happen.
	hurry = 300 * time.Millisecond
)

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "server":
		serve()
	case "replica":
		replicate()
	default:
		os.Exit(m.Run())
	}
}

// own runs a server with JetStream in this process. An account has one stream of chats, so each
// test has a server.
func own(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.JetStream, o.NoSigs, o.NoLog, o.Host = true, true, true, "127.0.0.1"
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	s, err := server.NewServer(&o)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(patience))
	t.Cleanup(func() { stop(s) })
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(2*time.Millisecond), nats.ReconnectJitter(0, 0), nats.Timeout(patience))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	require.NoError(t, err)
	return js
}

// open opens a stream whose calls have the time that they need. Options go before.
func open(t *testing.T, js jetstream.JetStream, opts ...natsrelay.Option) *natsrelay.Relay {
	t.Helper()
	r, err := natsrelay.Open(t.Context(), js, "CHAT", "shard", append([]natsrelay.Option{natsrelay.Timeout(patience)}, opts...)...)
	require.NoError(t, err)
	return r
}

// hasty opens a stream whose calls soon give up. What it takes to open it is tried until it was fast enough.
func hasty(t *testing.T, js jetstream.JetStream) (r *natsrelay.Relay) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		r, err = natsrelay.Open(t.Context(), js, "CHAT", "shard", natsrelay.Timeout(hurry))
		require.NoError(c, err)
	}, patience, time.Millisecond)
	return r
}

// events makes events with the ids from first to last.
func events(first, last int) (all []relay.Event) {
	for id := first; id <= last; id++ {
		all = append(all, relay.Event{Conversation: int64(id % 3), Message: int64(id), Version: "v", Data: fmt.Appendf(nil, "event %d", id)})
	}
	return all
}

// stored reads the ids of the messages in a stream, in order.
func stored(t *testing.T, js jetstream.JetStream) []string {
	t.Helper()
	ids, err := read(t.Context(), js)
	require.NoError(t, err)
	return ids
}

func read(ctx context.Context, js jetstream.JetStream) (ids []string, err error) {
	c, err := js.OrderedConsumer(ctx, "CHAT", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"chat.msg.>"}})
	if err != nil {
		return nil, err
	}
	info, err := c.Info(ctx)
	if err != nil || info.NumPending == 0 {
		return nil, err
	}
	messages, err := c.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(patience / 2))
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if ids = append(ids, m.Headers().Get("Chat-Message")); meta.NumPending == 0 {
			return ids, nil
		}
	}
}

// upTo is the ids from 1 to n.
func upTo(n int) string {
	var b strings.Builder
	for id := range n {
		fmt.Fprint(&b, id+1, " ")
	}
	return strings.TrimSpace(b.String())
}
