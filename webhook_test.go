package chat_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// bell is a backend that web hooks tell of new messages. It believes nothing that they say,
// and polls.
type bell struct {
	mu    sync.Mutex
	chat  *chat.Chat
	rings []string // bodies
	last  time.Time
}

func (b *bell) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.rings, b.last = append(b.rings, string(body)), time.Now()
	c := b.chat
	b.mu.Unlock()
	_ = c.Poll(r.Context()) // the next ring does what this one cannot
}

func (b *bell) heard() ([]string, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.rings...), b.last
}

// belfry is Jane, who writes, and Bob, whose Chat polls when the bell rings and otherwise
// once an hour.
type belfry struct {
	*world
	*bell
	jane     *chat.Chat
	got      *recorder
	talk     int64
	rungFrom time.Time
}

func newBelfry(t *testing.T, endpoint string, b *bell, opts ...fliplettest.Option) *belfry {
	w := newWorld(t, opts...)
	members := []string{wire.DeriveUserID(w.contacts, "jane@example.org"), wire.DeriveUserID(w.contacts, "bob@example.org")}
	plain := func(o *chat.Options) { o.EncryptMessages = false } // so that what rings can be told apart
	f := &belfry{world: w, bell: b, jane: w.login("jane", plain)}
	seldom := func(o *chat.Options) {
		o.LivePollInterval, o.PollInterval, o.MaxPollInterval = time.Hour, time.Hour, time.Hour
	}
	b.mu.Lock()
	b.chat = w.login("bob", plain, seldom)
	b.mu.Unlock()
	f.talk = w.AddDataSource(datasource.M{
		"name": "Talk", "type": "conversation", "definition": datasource.M{"participants": members},
		"hooks": []any{datasource.M{
			"type": "web", "runOn": []any{"insert"}, "conditions": []any{datasource.M{"isSilent": datasource.M{"$ne": true}}},
			"payload": datasource.M{"method": "POST", "endpoint": endpoint, "body": datasource.M{"text": "{{body}}"}},
		}},
	})
	f.got = stream(t, b.chat)
	f.rungFrom = time.Now()
	return f
}

func (f *belfry) write(bodies ...string) {
	f.t.Helper()
	for _, body := range bodies {
		_, err := f.jane.Message(f.t.Context(), f.talk, chat.Draft{Body: body})
		require.NoError(f.t, err)
	}
}

func (f *belfry) settle() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(f.t, f.WaitForHooks(ctx))
}

func (f *belfry) rings(want ...string) {
	f.t.Helper()
	got, _ := f.heard()
	assert.Equal(f.t, append([]string{}, want...), got)
}

// Each message comes once and in order, whatever happens to the hooks that tell of it.
var belfries = map[string]func(*belfry){
	"as it should": func(f *belfry) {
		f.write("one", "two")
		f.settle()
		f.rings(`{"text":"one"}`, `{"text":"two"}`)
		assert.Equal(f.t, []string{"one", "two"}, bodies(f.got.wait(f.t, 2)))
	},
	"lost": func(f *belfry) {
		f.Next(1, fliplettest.WebHook, fliplettest.LoseRequest())
		f.write("one")
		f.settle()
		f.rings()
		assert.Empty(f.t, f.got.all(), "nobody has rung")
		f.write("two")
		f.settle()
		f.rings(`{"text":"two"}`)
		assert.Equal(f.t, []string{"one", "two"}, bodies(f.got.wait(f.t, 2)), "the next ring brings both")
	},
	"twice": func(f *belfry) {
		f.Next(1, fliplettest.WebHook, fliplettest.Twice())
		f.write("one", "two")
		f.settle()
		f.rings(`{"text":"one"}`, `{"text":"one"}`, `{"text":"two"}`)
		assert.Equal(f.t, []string{"one", "two"}, bodies(f.got.wait(f.t, 2)))
	},
	"late": func(f *belfry) {
		f.Next(1, fliplettest.WebHook, fliplettest.Delay(300*time.Millisecond))
		f.write("one")
		f.settle()
		f.rings(`{"text":"one"}`)
		_, at := f.heard()
		assert.GreaterOrEqual(f.t, at.Sub(f.rungFrom), 300*time.Millisecond)
		assert.Equal(f.t, []string{"one"}, bodies(f.got.wait(f.t, 1)))
	},
	"late and overtaken": func(f *belfry) {
		f.Next(1, fliplettest.WebHook, fliplettest.Delay(3*time.Second)) // ample for a busy machine
		f.write("one", "two")
		f.settle()
		f.rings(`{"text":"two"}`, `{"text":"one"}`)
		assert.Equal(f.t, []string{"one", "two"}, bodies(f.got.wait(f.t, 2)))
	},
	"out of order": func(f *belfry) {
		f.Always(fliplettest.WebHook, fliplettest.OutOfOrder())
		f.write("one", "two", "three", "four")
		f.settle()
		f.rings(`{"text":"two"}`, `{"text":"one"}`, `{"text":"four"}`, `{"text":"three"}`)
		assert.Equal(f.t, []string{"one", "two", "three", "four"}, bodies(f.got.wait(f.t, 4)))
	},
	"out of order without a next one": func(f *belfry) {
		f.Next(1, fliplettest.WebHook, fliplettest.OutOfOrder())
		f.write("one")
		f.settle()
		f.rings(`{"text":"one"}`)
		assert.Equal(f.t, []string{"one"}, bodies(f.got.wait(f.t, 1)))
	},
	"with a forged body": func(f *belfry) {
		f.Next(1, fliplettest.WebHook, fliplettest.ForgeBody(datasource.M{"text": "pay me"}))
		f.write("one")
		f.settle()
		f.rings(`{"text":"pay me"}`)
		assert.Equal(f.t, []string{"one"}, bodies(f.got.wait(f.t, 1)))
	},
	"forged": func(f *belfry) {
		assert.Equal(f.t, 1, f.ForgeHook(f.talk, datasource.M{"body": "pay me"}))
		f.settle()
		f.rings(`{"text":"pay me"}`)
		f.write("one")
		f.settle()
		assert.Equal(f.t, []string{"one"}, bodies(f.got.wait(f.t, 1)), "what was forged is no message")
	},
	"unheard": func(f *belfry) {
		f.Next(1, fliplettest.WebHook, fliplettest.LoseAnswer())
		f.write("one")
		f.settle()
		f.rings(`{"text":"one"}`)
		assert.Equal(f.t, []string{"one"}, bodies(f.got.wait(f.t, 1)))
		for _, h := range f.HookCalls() {
			assert.Equal(f.t, "the answer was lost by a lever", h.Err)
		}
	},
	"before the row can be seen": func(f *belfry) {
		f.Next(1, fliplettest.Insert, fliplettest.VisibleAfter(time.Second))
		f.write("one")
		f.settle()
		f.rings(`{"text":"one"}`)
		assert.Empty(f.t, f.got.all())
		time.Sleep(time.Until(f.rungFrom.Add(1100 * time.Millisecond)))
		f.write("two")
		f.settle()
		assert.ElementsMatch(f.t, []string{"one", "two"}, bodies(f.got.wait(f.t, 2)))
	},
}

func TestAWebHookRingsForAPollInRealTime(t *testing.T) {
	t.Parallel()
	for name, test := range belfries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bell{}
			backend := httptest.NewServer(b)
			t.Cleanup(backend.Close)
			test(newBelfry(t, backend.URL+"/rung", b))
		})
	}
}

func TestAWebHookRingsForAPollOnVirtualTime(t *testing.T) {
	t.Parallel()
	for name, test := range belfries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &bell{}
				test(newBelfry(t, "http://localhost/rung", b, fliplettest.InProcess(), fliplettest.OnHook(b)))
			})
		})
	}
}

// Without a ring a poll brings the message all the same, an hour later.
func TestALostWebHookIsMadeUpForByThePolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bell{}
		f := newBelfry(t, "http://localhost/rung", b, fliplettest.InProcess(), fliplettest.OnHook(b))
		f.Always(fliplettest.WebHook, fliplettest.LoseRequest())
		f.write("one")
		time.Sleep(2 * time.Hour)
		assert.Equal(t, []string{"one"}, bodies(f.got.wait(t, 1)))
		f.rings()
	})
}
