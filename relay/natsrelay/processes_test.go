package natsrelay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/relay/natsrelay"
	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func env(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	fail(err)
	return n
}

// serve is a node of a cluster, until it is killed.
func serve() {
	o := &server.Options{
		ServerName: os.Getenv("NAME"), Host: "127.0.0.1", Port: env("PORT"), NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: os.Getenv("DIR"),
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: env("ROUTE")},
	}
	for route := range strings.SplitSeq(os.Getenv("ROUTES"), ",") {
		u, err := url.Parse("nats://" + net.JoinHostPort("127.0.0.1", route))
		fail(err)
		o.Routes = append(o.Routes, u)
	}
	s, err := server.NewServer(o)
	fail(err)
	s.Start()
	s.WaitForShutdown()
}

// handling is how long a replica takes for a message, so that it can be stopped meanwhile.
const handling = 60 * time.Millisecond

// ready is what a replica says when it has logged in.
const ready = "ready"

// replicate is a replica, until it is killed. It says when it is ready, and then of each message that it
// begins with it.
func replicate() {
	ctx := context.Background()
	nc, err := nats.Connect(os.Getenv("NATS"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(100*time.Millisecond))
	fail(err)
	js, err := jetstream.New(nc)
	fail(err)
	shared := patiently(func() (*natsstore.Store, error) { return natsstore.Open(ctx, js, "chat", natsstore.Replicas(3)) })
	opts := []natsrelay.Option{natsrelay.Replicas(3)}
	if os.Getenv("UNSAFE") != "" {
		opts = append(opts, natsrelay.WithoutFence())
	}
	r := patiently(func() (*natsrelay.Relay, error) { return natsrelay.Open(ctx, js, "CHAT", "shard", opts...) })
	store, err := relay.NewStore(shared, "relay", r)
	fail(err)
	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("TOKEN"), BaseURL: os.Getenv("URL"), Limiter: datasource.Unlimited()})
	fail(err)
	o := options(client, int64(env("CONTACTS")))
	o.Storage = store
	c := patiently(func() (*chat.Chat, error) { return chat.Connect(ctx, o) })
	patiently(func() (any, error) { _, err := c.Login(ctx, chat.M{"flUserId": "bot"}); return nil, err })
	fmt.Println(ready)
	for {
		err := c.Consume(ctx, "relay", func(ctx context.Context, m *chat.Message) error {
			fmt.Println(m.ID)
			time.Sleep(handling)
			e, err := relay.EventOf(m)
			if err != nil {
				return err
			}
			return relay.Publish(ctx, e)
		}, chat.StartAt(chat.FromBeginning), chat.Batch(20), chat.WithoutReadMarks(), chat.OnError(func(err error) { fmt.Fprintln(os.Stderr, time.Now().Format("05.000"), err) }))
		fmt.Fprintln(os.Stderr, "consume:", err)
		if errors.Is(err, relay.ErrOtherStream) || errors.Is(err, relay.ErrNewer) {
			os.Exit(1)
		}
		time.Sleep(time.Second)
	}
}

// options are those of a Chat that polls as often as is good for a test.
func options(client *datasource.Client, contacts int64) chat.Options {
	return chat.Options{Client: client, DataSourceID: contacts, AppID: 1, LivePollInterval: 500 * time.Millisecond, PollInterval: time.Second}
}

// patiently tries again until a server is there.
func patiently[T any](try func() (T, error)) T {
	for {
		v, err := try()
		if err == nil {
			return v
		}
		fmt.Fprintln(os.Stderr, err)
		time.Sleep(200 * time.Millisecond)
	}
}
