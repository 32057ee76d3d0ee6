package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/relay/natsrelay"
	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
)

// config is what a replica is told by whoever starts it.
type config struct {
	NATS, URL, Token string
	Contacts, App    int64
}

// replica is one of several processes that do the same. One of them carries the messages of the
// user "desk" from Fliplet into the stream, and the others stand by. It ends with ctx.
func replica(ctx context.Context, cfg config, out io.Writer) error {
	nc, err := nats.Connect(cfg.NATS, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	// With a cluster both get Replicas(3).
	shared, err := natsstore.Open(ctx, js, "chat")
	if err != nil {
		return err
	}
	stream, err := natsrelay.Open(ctx, js, "CHAT", "desk")
	if err != nil {
		return err
	}
	store, err := relay.NewStore(shared, "desk", stream)
	if err != nil {
		return err
	}
	client, err := datasource.NewClient(datasource.Config{Token: cfg.Token, BaseURL: cfg.URL})
	if err != nil {
		return err
	}
	c, err := chat.Connect(ctx, chat.Options{
		Client: client, DataSourceID: cfg.Contacts, AppID: cfg.App, Storage: store, Hooks: []chat.Hook{says{out}},
		LivePollInterval: 500 * time.Millisecond, PollInterval: time.Second, // for a quick show
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Login(ctx, chat.M{"flUserId": "desk"}); err != nil {
		return err
	}
	return store.Run(ctx, c, chat.StartAt(chat.FromBeginning), chat.Batch(100))
}

// says writes when this process begins to work.
type says struct{ out io.Writer }

func (s says) OnLease(l hooks.Lease) {
	if l.Consumer == "desk" && l.Event == hooks.LeaseAcquired {
		fmt.Fprintln(s.out, "working", os.Getpid())
	}
}
