package natsstore_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
)

const (
	// large is room for the largest values of storagetest.
	large = 8 << 20
	// patience is for what will happen, on a machine that does much else.
	patience = time.Minute
	// hurry is for what will not happen.
	hurry = 300 * time.Millisecond
)

// shared is the server of all tests that do not disturb it.
var shared *server.Server

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "natsstore")
	if err != nil {
		panic(err)
	}
	if shared, err = start(server.Options{StoreDir: dir, MaxPayload: large}); err != nil {
		panic(err)
	}
	code := m.Run()
	shared.Shutdown()
	shared.WaitForShutdown()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// start runs a server with JetStream in this process.
func start(o server.Options) (*server.Server, error) {
	o.JetStream, o.NoSigs, o.NoLog, o.Host = true, true, true, "127.0.0.1"
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if o.MaxPayload > 0 {
		o.MaxPending = 64 << 20
	}
	s, err := server.NewServer(&o)
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return nil, fmt.Errorf("the server is not ready")
	}
	return s, nil
}

// own runs a server for one test.
func own(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	s, err := start(o)
	require.NoError(t, err)
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

// open opens a bucket whose calls have the time that they need. Options go before.
func open(t *testing.T, js jetstream.JetStream, bucket string, opts ...natsstore.Option) *natsstore.Store {
	t.Helper()
	s, err := natsstore.Open(t.Context(), js, bucket, append([]natsstore.Option{natsstore.Timeout(patience)}, opts...)...)
	require.NoError(t, err)
	return s
}

// hasty opens a bucket whose calls soon give up. What it takes to open it is tried until it was fast enough.
func hasty(t *testing.T, js jetstream.JetStream, bucket string, within time.Duration) (s *natsstore.Store) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		s, err = natsstore.Open(t.Context(), js, bucket, natsstore.Timeout(within))
		require.NoError(c, err)
	}, patience, time.Millisecond)
	return s
}

var buckets atomic.Int64

// fresh is a name that no other test uses.
func fresh() string { return fmt.Sprint("bucket-", buckets.Add(1)) }

func get(t *testing.T, s storage.Store, key string) string {
	t.Helper()
	v, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	return string(v)
}

// keys lists.
func keys(t *testing.T, s storage.Lister, prefix string) string {
	t.Helper()
	var all []string
	for key, err := range s.List(t.Context(), prefix) {
		require.NoError(t, err)
		all = append(all, key)
	}
	return strings.Join(all, " ")
}
