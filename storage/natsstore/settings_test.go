package natsstore_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
)

func TestABucketThatWouldLoseValuesIsRefusedWithTheSettingAndTheFix(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	for said, change := range map[string]func(*jetstream.StreamConfig){
		"history is 5":      func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"ttl is 1h":         func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"max value size":    func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 },
		"storage is memory": func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"discard is":        func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<20 },
		"retention is":      func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"no_ack":            func(c *jetstream.StreamConfig) { c.NoAck = true },
		"allow_rollup_hdrs": func(c *jetstream.StreamConfig) { c.AllowRollup = false },
		"its subjects":      func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "other."+c.Name) },
		"it says version":   func(c *jetstream.StreamConfig) { c.Metadata = map[string]string{"fliplet-chat-store": "2"} },
		"duplicate window":  func(c *jetstream.StreamConfig) { c.Duplicates = time.Second },
		"subject transform": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "x", Destination: "y"}
		},
		"mirror or has sour": func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "KV_nothing"}} },
	} {
		bucket := fresh()
		cfg := jetstream.StreamConfig{Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, MaxMsgsPerSubject: 1, AllowRollup: true, Discard: jetstream.DiscardNew}
		change(&cfg)
		_, err := js.CreateStream(t.Context(), cfg)
		require.NoError(t, err, said)
		_, err = natsstore.Open(t.Context(), js, bucket, natsstore.Timeout(patience))
		assert.ErrorIs(t, err, natsstore.ErrSettings, said)
		assert.ErrorContains(t, err, said)
		assert.ErrorContains(t, err, bucket)
	}
}

func TestABucketOfTheCommandLineIsGoodEnough(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	bucket := fresh()
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, History: 1})
	require.NoError(t, err)
	s := open(t, js, bucket)
	for range 2 { // deleted keys leave a mark that stays here
		require.NoError(t, s.Set(t.Context(), "a/b", []byte("1")))
		require.NoError(t, s.Delete(t.Context(), "a/b"))
		assert.Empty(t, keys(t, s, ""))
	}
	_, err = kv.Put(t.Context(), "a.c", []byte("of another tool"))
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "x_y", []byte("no key of a Store"))
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "a/b", []byte("2")))
	assert.Equal(t, "a/b a/c", keys(t, s, ""))
	assert.Equal(t, "of another tool", get(t, s, "a/c"))
	e, err := kv.Get(t.Context(), "a.b")
	require.NoError(t, err)
	assert.Equal(t, "2", string(e.Value()))
	require.NoError(t, kv.Delete(t.Context(), "a.c"))
	ok, err := s.CompareAndSwap(t.Context(), "a/c", nil, []byte("3"))
	require.NoError(t, err)
	assert.True(t, ok, "what another tool has deleted is gone")
}

// One value a key, and a mark that vanishes: what was replaced or deleted is not served.
func TestNoOldValueStaysInTheStream(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	bucket := fresh()
	s := open(t, js, bucket)
	for _, v := range []string{"one", "two", "three"} {
		require.NoError(t, s.Set(t.Context(), "kept", []byte(v)))
		require.NoError(t, s.Set(t.Context(), "gone", []byte(v)))
	}
	require.NoError(t, s.Delete(t.Context(), "gone"))
	require.NoError(t, s.Delete(t.Context(), "gone"))
	stream, err := js.Stream(t.Context(), "KV_"+bucket)
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, info.State.Msgs)
	assert.EqualValues(t, 7, info.State.LastSeq, "a key that is gone is not deleted again")
	last, err := stream.GetLastMsgForSubject(t.Context(), "$KV."+bucket+".gone")
	require.NoError(t, err)
	assert.Empty(t, last.Data)
	assert.Equal(t, "1h0m0s", last.Header.Get(jetstream.MsgTTLHeader))
}

func TestAValueThatIsTooLargeNamesTheSetting(t *testing.T) {
	t.Parallel()
	small := own(t, server.Options{MaxPayload: 64 << 10})
	s := open(t, connect(t, small.ClientURL()), "chat")
	require.NoError(t, s.Set(t.Context(), "key", bytes.Repeat([]byte("v"), 64<<10-300)), "with room for its headers")
	err := s.Set(t.Context(), "key", bytes.Repeat([]byte("secret"), 11<<10))
	require.ErrorIs(t, err, natsstore.ErrTooLarge)
	assert.ErrorContains(t, err, "max_payload")
	assert.NotContains(t, err.Error(), "secret")
	_, err = s.CompareAndSwap(t.Context(), "new", nil, bytes.Repeat([]byte("v"), 64<<10))
	require.ErrorIs(t, err, natsstore.ErrTooLarge)

	js := connect(t, shared.ClientURL())
	bucket := fresh()
	_, err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, MaxValueSize: 2 << 20})
	require.NoError(t, err)
	assert.ErrorIs(t, open(t, js, bucket).Set(t.Context(), "key", make([]byte, 3<<20)), natsstore.ErrTooLarge)
}

func TestBadArgumentsAreRefusedWithTheFix(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	for said, err := range map[string]error{
		"js is nil": second(natsstore.Open(t.Context(), nil, "chat")),
		"bucket":    second(natsstore.Open(t.Context(), js, "a.b")),
		"Replicas":  second(natsstore.Open(t.Context(), js, "chat", natsstore.Replicas(6))),
		"Timeout":   second(natsstore.Open(t.Context(), js, "chat", natsstore.Timeout(0))),
	} {
		assert.ErrorContains(t, err, said)
	}
	s := open(t, js, fresh(), natsstore.InMemory())
	for _, key := range []string{"", strings.Repeat("k", 1025)} {
		assert.ErrorContains(t, s.Set(t.Context(), key, nil), "key of")
	}
}

func second[T any](_ T, err error) error { return err }

func TestAServerWithoutJetStreamIsSaid(t *testing.T) {
	t.Parallel()
	plain, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	plain.Start()
	t.Cleanup(func() { stop(plain) })
	require.True(t, plain.ReadyForConnections(patience))
	_, err = natsstore.Open(t.Context(), connect(t, plain.ClientURL()), "chat", natsstore.Timeout(patience))
	assert.ErrorContains(t, err, "JetStream is not enabled")
}
