package natsrelay_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/relay/natsrelay"
)

// BenchmarkCommit stores events of 500 bytes behind a position of 2,000, some in each step.
func BenchmarkCommit(b *testing.B) {
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, size := range []int{1, 10, 100, 999} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: b.TempDir(), NoSigs: true, NoLog: true})
			must(err)
			s.Start()
			b.Cleanup(func() { stop(s) })
			nc, err := nats.Connect(s.ClientURL(), nats.RetryOnFailedConnect(true))
			must(err)
			b.Cleanup(nc.Close)
			js, err := jetstream.New(nc)
			must(err)
			r, err := natsrelay.Open(b.Context(), js, "CHAT", "shard")
			must(err)
			batch := make([]relay.Event, size)
			for i := range batch {
				batch[i] = relay.Event{Conversation: int64(i % 20), Message: int64(i), Version: "0123456789abcdef", Data: make([]byte, 500)}
			}
			at, steps, position := uint64(0), 0, make([]byte, 2000)
			for b.Loop() {
				at, err = r.Commit(b.Context(), at, position, batch)
				must(err)
				steps++
			}
			stream, err := js.Stream(b.Context(), "CHAT")
			must(err)
			b.ReportMetric(float64(steps*size)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(stream.CachedInfo().State.Bytes)/float64(steps*size), "B/event")
		})
	}
}
