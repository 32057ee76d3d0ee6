package hooks_test

import (
	"context"
	"fmt"
	"sync/atomic"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// counts is a hook: it has the methods of two interfaces, and is told nothing else.
type counts struct{ writes, failed, sent atomic.Int64 }

func (c *counts) OnRequest(_ context.Context, r hooks.Request) {
	if r.Write {
		c.writes.Add(1)
	}
	if r.Err != nil {
		c.failed.Add(1)
	}
}

func (c *counts) OnSendStart(ctx context.Context, _ hooks.Send) context.Context { return ctx }

func (c *counts) OnSendEnd(_ context.Context, _ hooks.Send, o hooks.Outcome) {
	if o.Err == nil {
		c.sent.Add(1)
	}
}

// A hook counts requests and messages.
func Example() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	contacts, ids := srv.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})

	ctx, seen := context.Background(), &counts{}
	jane, err := chat.Connect(ctx, chat.Options{Client: srv.Client(), DataSourceID: contacts, AppID: srv.AppID, Hooks: []chat.Hook{seen}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jane.Close()
	if _, err := jane.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		fmt.Println(err)
	}
	talk, err := jane.Create(ctx, chat.NewConversation{Participants: ids[1:]})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := jane.Message(ctx, talk.ID, chat.Draft{Body: "Hello"}); err != nil {
		fmt.Println(err)
	}
	fmt.Println("sent:", seen.sent.Load(), "failed requests:", seen.failed.Load(), "wrote:", seen.writes.Load() > 1)
	// Output: sent: 1 failed requests: 0 wrote: true
}

func ExampleCheck() {
	var forgotten *counts // nil
	fmt.Println(hooks.Check([]hooks.Hook{&counts{}, forgotten}))
	// Output: [1]: a nil *hooks_test.counts; give a value, or leave it out
}
