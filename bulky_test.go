package chat_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/pages"
)

// weighing tells how many bytes of the largest answer were read.
type weighing struct {
	http.RoundTripper
	mu   sync.Mutex
	most int
}

func (w *weighing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &countedBody{ReadCloser: resp.Body, of: w}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	of   *weighing
	size int
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.size += n
	b.of.mu.Lock()
	defer b.of.mu.Unlock()
	b.of.most = max(b.of.most, b.size)
	return n, err
}

// Messages of 900 KB, which are 200 times as many bytes in a page of 200.
func TestPagesOfLargeMessagesHaveFewRows(t *testing.T) {
	t.Parallel()
	const n = 24
	for _, across := range []bool{true, false} {
		t.Run(fmt.Sprintf("across %v", across), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				if !across {
					w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				}
				jane := w.login("jane")
				conv := w.converse(jane, "bob")
				for i := range n {
					w.AddRows(conv.ID, datasource.M{"body": fmt.Sprint(i, " ", strings.Repeat("x", 900_000)), "guid": fmt.Sprint(i), "fromUserId": "somebody"})
				}
				time.Sleep(time.Minute)
				check := func(name string, read func(c *chat.Chat, client *datasource.Client, got *inbox)) {
					scale := &weighing{RoundTripper: w.Transport()}
					client := sure(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: scale}}))
					bob := w.login("bob", unhurried, func(o *chat.Options) { o.Client = client })
					var got inbox
					read(bob, client, &got)
					assert.Equal(t, numbered(n), got.bodies(), name)
					require.NoError(t, bob.Close())
					scale.mu.Lock()
					defer scale.mu.Unlock()
					assert.LessOrEqual(t, scale.most, pages.Most+1<<20, name)
					assert.Greater(t, scale.most, pages.Aim/2, name)
				}
				take := func(got *inbox) func(m *chat.Message) {
					return func(m *chat.Message) { m.Body = number(m); got.take(m) }
				}
				check("History", func(c *chat.Chat, _ *datasource.Client, got *inbox) {
					for m, err := range c.History(t.Context(), conv.ID) {
						require.NoError(t, err)
						take(got)(m)
					}
				})
				for name, start := range map[string]chat.From{"Stream": chat.FromNewest, "Stream from the beginning": chat.FromBeginning} {
					check(name, func(c *chat.Chat, _ *datasource.Client, got *inbox) {
						_, err := c.Stream(t.Context(), take(got), chat.StartAt(start))
						require.NoError(t, err)
						time.Sleep(5 * time.Minute)
					})
				}
				check("Consume", func(c *chat.Chat, _ *datasource.Client, got *inbox) {
					stop := consume(c, "log", func(_ context.Context, m *chat.Message) error { take(got)(m); return nil }, chat.StartAt(chat.FromBeginning))
					time.Sleep(5 * time.Minute)
					require.ErrorIs(t, stop(), context.Canceled)
				})
				check("App", func(_ *chat.Chat, client *datasource.Client, got *inbox) {
					app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: w.contacts}})
					require.NoError(t, err)
					_, err = app.Stream(t.Context(), take(got), chat.StartAt(chat.FromBeginning))
					require.NoError(t, err)
					time.Sleep(5 * time.Minute)
					require.NoError(t, app.Close())
				})
			})
		})
	}
}
