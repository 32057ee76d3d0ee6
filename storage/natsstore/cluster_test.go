package natsstore_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

// A replica that is behind must not be seen: what one node has stored every node reads.
// On a machine that is busy the nodes vote anew in the middle of a check, and then an answer may stay
// unknown, so this is no test of every day.
func TestABucketOfThreeReplicasIsAStore(t *testing.T) {
	if os.Getenv("CHAT_LONG") == "" {
		t.Skip("a cluster wants a quiet machine; set CHAT_LONG=1")
	}
	var routes []*url.URL
	var ports []int
	var held []net.Listener
	for len(ports) < 3 {
		port := 20_000 + rand.IntN(10_000) // below those of connections, one of which would take it meanwhile
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		held, ports, routes = append(held, l), append(ports, port), append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
	}
	for _, l := range held {
		require.NoError(t, l.Close())
	}
	var nodes []*server.Server
	for i, port := range ports {
		nodes = append(nodes, own(t, server.Options{
			ServerName: fmt.Sprint("node", i), MaxPayload: large, Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
		}))
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := natsstore.Open(t.Context(), connect(t, nodes[0].ClientURL()), "first", natsstore.Replicas(3))
		assert.NoError(c, err)
	}, patience, 100*time.Millisecond)
	// A handle at each node takes the calls in turn.
	storagetest.Run(t, func(t *testing.T) storage.Store {
		bucket := fresh()
		r := &rotating{}
		for i := range nodes {
			r.all = append(r.all, open(t, connect(t, nodes[i].ClientURL()), bucket, natsstore.Replicas(3)))
		}
		return r
	})
}

// rotating gives each call to another handle of one bucket.
type rotating struct {
	all []*natsstore.Store
	n   atomic.Int64
}

func (r *rotating) next() *natsstore.Store { return r.all[int(r.n.Add(1))%len(r.all)] }

func (r *rotating) Get(ctx context.Context, key string) ([]byte, error) {
	return r.next().Get(ctx, key)
}

func (r *rotating) Set(ctx context.Context, key string, value []byte) error {
	return r.next().Set(ctx, key, value)
}

func (r *rotating) Delete(ctx context.Context, key string) error { return r.next().Delete(ctx, key) }

func (r *rotating) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	return r.next().CompareAndSwap(ctx, key, old, new)
}

func (r *rotating) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return r.next().List(ctx, prefix)
}
