package natsstore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
)

// BenchmarkStore compares what the calls of a chat cost here and in a file: values of 160 bytes,
// as positions are.
func BenchmarkStore(b *testing.B) {
	value := make([]byte, 160)
	for name, open := range map[string]func(b *testing.B) storage.Store{
		"nats": func(b *testing.B) storage.Store {
			nc, err := nats.Connect(shared.ClientURL())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(nc.Close)
			js, err := jetstream.New(nc)
			if err != nil {
				b.Fatal(err)
			}
			s, err := natsstore.Open(b.Context(), js, fresh())
			if err != nil {
				b.Fatal(err)
			}
			return s
		},
		"file": func(b *testing.B) storage.Store {
			s, err := boltstore.Open(filepath.Join(b.TempDir(), "chat.db"))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			return s
		},
	} {
		b.Run("get/"+name, func(b *testing.B) {
			s := open(b)
			must(b, s.Set(b.Context(), "key", value))
			for b.Loop() {
				_, err := s.Get(b.Context(), "key")
				must(b, err)
			}
		})
		b.Run("set/"+name, func(b *testing.B) {
			s := open(b)
			for b.Loop() {
				must(b, s.Set(b.Context(), "key", value))
			}
		})
		b.Run("swap/"+name, func(b *testing.B) {
			s, old := open(b), []byte(nil)
			for n := 0; b.Loop(); n++ {
				next := append(fmt.Appendf(nil, "%20d", n), value[20:]...)
				ok, err := s.CompareAndSwap(b.Context(), "key", old, next)
				if must(b, err); !ok {
					b.Fatal("not swapped")
				}
				old = next
			}
		})
	}
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
