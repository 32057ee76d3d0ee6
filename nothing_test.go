package chat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// first is the error of the first step of a loop.
func first[T any](loop func(func(T, error) bool)) (err error) {
	for _, err = range loop {
		break
	}
	return err
}

// second is the error of a call with one result.
func second[T any](_ T, err error) error { return err }

// Options that are nil, whether alone or behind others, are none.
func TestNilOptionsAreNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 1)
		conv := o.converse(o.login("bob"), "jane")
		app := o.in(t, func(opts *chat.AppOptions) { opts.Storage = storage.NewMemory() })
		ctx, query := t.Context(), chat.M{"Email": "jane@example.org"}
		c, err := app.User(ctx, query, nil)
		require.NoError(t, err)
		plain := o.login("jane")
		short := func() context.Context {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			t.Cleanup(cancel)
			return ctx
		}
		stream := func(s *chat.Subscription, err error) error {
			if err == nil {
				s.Stop()
			}
			return err
		}
		fn, handle := func(*chat.Message) {}, func(context.Context, *chat.Message) error { return nil }
		late := context.DeadlineExceeded // nothing ends these but their context
		for name, call := range map[string]struct {
			err, want error
		}{
			"App.User":      {second(app.User(ctx, query, nil, chat.WithToken(), nil)), nil},
			"App.Stream":    {stream(app.Stream(ctx, fn, nil, chat.OnGap(nil), chat.OnError(nil))), nil},
			"App.Events":    {first(app.Events(short(), nil)), late},
			"App.Consume":   {app.Consume(short(), "x", handle, nil, chat.OnGap(nil), chat.OnError(nil)), late},
			"App.History":   {first(app.History(ctx, conv.ID, nil)), nil},
			"Login":         {second(plain.Login(ctx, query, nil)), nil},
			"Stream":        {stream(c.Stream(ctx, fn, nil, nil)), nil},
			"Events":        {first(c.Events(short(), nil, chat.StartAt(chat.FromNow))), late},
			"Consume":       {c.Consume(short(), "x", handle, nil, chat.Parallel(2), nil), late},
			"Poll":          {c.Poll(ctx, nil, chat.Reset()), nil},
			"History":       {first(c.History(ctx, conv.ID, nil, chat.PageSize(3))), nil},
			"Contacts":      {second(c.Contacts(ctx, nil, chat.Limit(1))), nil},
			"Conversations": {second(c.Conversations(ctx, nil)), nil},
			"Messages":      {second(c.Messages(ctx, nil, chat.FindOption{})), nil},
			"Fetch":         {second(conv.Messages().Fetch(ctx, nil, chat.Where(nil))), nil},
			"Init":          {second(new(chat.Registry).Init(ctx, nil, nil)), chat.ErrInvalid},
		} {
			if call.want == nil {
				require.NoError(t, call.err, name)
			} else {
				require.ErrorIs(t, call.err, call.want, name)
			}
		}
		_, err = c.Message(ctx, conv.ID, chat.Draft{Body: "with a file", Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}})
		require.NoError(t, err)
		list, err := conv.Messages().Fetch(ctx)
		require.NoError(t, err)
		_, n, err := c.Download(ctx, list[0], 0, io.Discard, nil, chat.Progress(nil))
		require.NoError(t, err)
		assert.Equal(t, int64(1), n)
	})
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "x"), nil)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	srv, err := fliplettest.Start(nil, fliplettest.InProcess(), nil)
	require.NoError(t, err)
	srv.Close()
}

// A function or context that is missing, where there has to be one, is named before any request.
func TestNilFunctionsAndContextsAreNamedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 1)
		jane := o.login("jane")
		conv := o.converse(jane, "bob")
		m := o.say(jane, conv, "x")
		app := o.in(t, func(opts *chat.AppOptions) { opts.Storage = storage.NewMemory() })
		query := chat.M{"Email": "jane@example.org"}
		c, err := app.User(t.Context(), query)
		require.NoError(t, err)
		_, err = c.Conversations(t.Context())
		require.NoError(t, err)
		fn, handle := func(*chat.Message) {}, func(context.Context, *chat.Message) error { return nil }
		queues := o.login("bob", func(opts *chat.Options) { opts.Outbox = &chat.OutboxOptions{} })
		time.Sleep(time.Minute)
		before := o.requests.n.Load()
		var none context.Context
		file := *m
		file.Files = append(file.Files, "https://example.org/a")
		ctx := t.Context()
		calls := map[string]func() error{
			"fn: nil": func() error {
				return errors.Join(second(c.Stream(ctx, nil)), second(app.Stream(ctx, nil)), c.Consume(ctx, "x", nil), app.Consume(ctx, "x", nil))
			},
			"OnlyIf: nil":     func() error { return second(app.Stream(ctx, fn, chat.OnlyIf(nil))) },
			"DeadLetter: nil": func() error { return c.Consume(ctx, "x", handle, chat.DeadLetter(nil)) },
			"w: nil":          func() error { _, _, err := c.Download(ctx, m, 0, nil); return err },
		}
		for name, call := range map[string]func() error{
			"OpenApp":         func() error { return second(chat.OpenApp(none, chat.AppOptions{})) },
			"Connect":         func() error { return second(chat.Connect(none, chat.Options{})) },
			"Get":             func() error { return second(chat.Get(none)) },
			"Init":            func() error { return second(new(chat.Registry).Init(none, chat.LocalEnvironment{})) },
			"Subscribe":       func() error { return second(chat.Subscribe(none, chat.LocalEnvironment{})) },
			"App.User":        func() error { return second(app.User(none, query)) },
			"App.Stream":      func() error { return second(app.Stream(none, fn)) },
			"App.Events":      func() error { return first(app.Events(none)) },
			"App.Consume":     func() error { return app.Consume(none, "x", handle) },
			"App.History":     func() error { return first(app.History(none, conv.ID)) },
			"App.Send":        func() error { return second(app.Send(none, query, conv.ID, chat.Draft{Body: "x"})) },
			"App.InstallBell": func() error { return second(app.InstallBell(none, "https://example.org/bell")) },
			"App.RemoveBell":  func() error { return second(app.RemoveBell(none, "https://example.org/bell")) },
			"App.Shutdown":    func() error { return app.Shutdown(none) },
			"Login":           func() error { return second(c.Login(none, query)) },
			"Logout":          func() error { return c.Logout(none) },
			"Shutdown":        func() error { return c.Shutdown(none) },
			"Stream":          func() error { return second(c.Stream(none, fn)) },
			"Events":          func() error { return first(c.Events(none)) },
			"Consume":         func() error { return c.Consume(none, "x", handle) },
			"Poll":            func() error { return c.Poll(none) },
			"History":         func() error { return first(c.History(none, conv.ID)) },
			"Contacts":        func() error { return second(c.Contacts(none)) },
			"Conversations":   func() error { return second(c.Conversations(none)) },
			"Create": func() error {
				return second(c.Create(none, chat.NewConversation{Name: "x", Participants: []int64{o.ids["bob"]}}))
			},
			"Message":       func() error { return second(c.Message(none, conv.ID, chat.Draft{Body: "x"})) },
			"UpdateMessage": func() error { return second(c.UpdateMessage(none, conv.ID, m.ID, chat.M{"a": 1})) },
			"DeleteMessage": func() error { return c.DeleteMessage(none, conv.ID, m.ID) },
			"Messages":      func() error { return second(c.Messages(none)) },
			"Fetch":         func() error { return second(conv.Messages().Fetch(none)) },
			"Mark":          func() error { return c.MarkMessagesAsRead(none, m) },
			"Unread.Count":  func() error { return second(c.Unread().Count(none)) },
			"Add":           func() error { return conv.Participants().Add(none, 1) },
			"Channels.List": func() error { return second(c.Channels().List(none)) },
			"Download":      func() error { _, _, err := c.Download(none, &file, 0, io.Discard); return err },
			"Reencrypt":     func() error { return second(jane.Reencrypt(none, conv.ID, nil)) },
			"Outbox.Flush":  func() error { return queues.Outbox().Flush(none) },
		} {
			calls["ctx: nil; "+name] = call
		}
		for says, call := range calls {
			text, _, _ := bytes.Cut([]byte(says), []byte("; "))
			assert.NotPanics(t, func() {
				err := call()
				if assert.ErrorIs(t, err, chat.ErrInvalid, says) {
					assert.ErrorContains(t, err, string(text), says)
				}
			}, says)
		}
		answer := httptest.NewRecorder()
		c.FileHandler(nil).ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		assert.Equal(t, http.StatusNotFound, answer.Code)
		assert.Equal(t, before, o.requests.n.Load(), "requests")
		_, err = c.Conversations(ctx)
		require.NoError(t, err, "nothing has ended")
	})
}
