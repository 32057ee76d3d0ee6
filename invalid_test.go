package chat_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// A Chat that has read nothing would first ask whether the user is a member, and for keys.
func TestWhatIsInvalidIsRefusedWithoutARequest(t *testing.T) {
	t.Parallel()
	big, deep := strings.Repeat("y", 2<<20), nested(1500)
	for name, change := range map[string]func(*chat.Options){
		"plain": plainBodies, "sealed": func(*chat.Options) {},
		"authenticated": func(o *chat.Options) {
			o.Cipher = must(chat.NewCipher(must(chat.NewKey("k", []byte(strings.Repeat("k", 32))))))
		},
		"outbox": func(o *chat.Options) {
			o.Storage, o.Outbox = storage.NewMemory(), &chat.OutboxOptions{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fliplettest.InProcess())
			first := w.login("jane", change)
			talk := w.converse(first, "bob")
			m := w.say(first, talk, "hello")
			jane := w.login("jane", change) // knows nothing of it
			ctx := t.Context()
			sealed := name != "plain"
			for what, call := range map[string]func() error{
				"join":    func() error { _, err := jane.Channels().Join(ctx, 0); return err },
				"delete":  func() error { return jane.Channels().Delete(ctx, -1) },
				"channel": func() error { _, err := jane.Channels().Create(ctx, "\t"); return err },
				"nobody":  func() error { _, err := jane.Create(ctx, chat.NewConversation{}); return err },
				"only oneself": func() error {
					_, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["jane"], w.ids["jane"]}})
					return err
				},
				"large group": func() error {
					_, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["eve"]}, Group: chat.M{"x": big}})
					return err
				},
				"deep metadata": func() error {
					_, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["eve"]}, Metadata: chat.M{"x": deep}})
					return err
				},
				"both are too large": func() error {
					half := chat.M{"x": strings.Repeat("y", 600<<10)}
					_, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["eve"]}, Group: half, Metadata: half})
					return err
				},
				"no JSON": func() error {
					_, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["eve"]}, Metadata: chat.M{"x": func() {}}})
					return err
				},
				"members":    func() error { return talk.Participants().Add(ctx, 0) },
				"no draft":   func() error { _, err := jane.Message(ctx, talk.ID, chat.Draft{}); return err },
				"large body": func() error { _, err := jane.Message(ctx, talk.ID, chat.Draft{Body: big}); return err },
				"large once sealed": func() error {
					return onlyIf(sealed, func() error {
						_, err := jane.Message(ctx, talk.ID, chat.Draft{Body: strings.Repeat("y", 800<<10)})
						return err
					})
				},
				"large data": func() error {
					_, err := jane.Message(ctx, talk.ID, chat.Draft{Body: "x", Data: chat.M{"x": big}})
					return err
				},
				"data of no JSON": func() error {
					_, err := jane.Message(ctx, talk.ID, chat.Draft{Body: "x", Data: chat.M{"x": func() {}}})
					return err
				},
				"deep data": func() error {
					_, err := jane.Message(ctx, talk.ID, chat.Draft{Body: "x", Data: chat.M{"x": deep}})
					return err
				},
				"large URL": func() error {
					_, err := jane.Message(ctx, talk.ID, chat.Draft{Files: []chat.File{{URL: "https://a.b/" + big}}})
					return err
				},
				"no file": func() error { _, err := jane.Message(ctx, talk.ID, chat.Draft{Files: []chat.File{{}}}); return err },
				"broken data URL": func() error {
					_, err := jane.Message(ctx, talk.ID, chat.Draft{Files: []chat.File{{URL: "data:image/png;base64,?"}}})
					return err
				},
				"Reader": func() error {
					return onlyIf(name == "outbox", func() error {
						_, err := jane.Message(ctx, talk.ID, chat.Draft{Files: []chat.File{{Reader: strings.NewReader("x")}}})
						return err
					})
				},
				"unsealed content": func() error {
					return onlyIf(name == "outbox", func() error {
						_, err := jane.Message(ctx, talk.ID, chat.Draft{Files: []chat.File{{Content: []byte("x")}}})
						return err
					})
				},
				"no columns":   func() error { _, err := jane.UpdateMessage(ctx, talk.ID, m.ID, nil); return err },
				"large update": func() error { _, err := jane.UpdateMessage(ctx, talk.ID, m.ID, chat.M{"body": big}); return err },
				"large update once sealed": func() error {
					return onlyIf(sealed, func() error {
						_, err := jane.UpdateMessage(ctx, talk.ID, m.ID, chat.M{"body": strings.Repeat("y", 800<<10)})
						return err
					})
				},
				"deep update":         func() error { _, err := jane.UpdateMessage(ctx, talk.ID, m.ID, chat.M{"x": deep}); return err },
				"update without JSON": func() error { _, err := jane.UpdateMessage(ctx, talk.ID, m.ID, chat.M{"x": func() {}}); return err },
				"file as content": func() error {
					return onlyIf(sealed, func() error { _, err := jane.UpdateMessage(ctx, talk.ID, m.ID, chat.M{"file": "data:,x"}); return err })
				},
				"body of no text": func() error { _, err := jane.UpdateMessage(ctx, talk.ID, m.ID, chat.M{"body": 1}); return err },
				"token":           func() error { _, err := jane.UpdateMessage(ctx, talk.ID, m.ID, chat.M{"flUserToken": "x"}); return err },
				"deletion":        func() error { return jane.DeleteMessage(ctx, talk.ID, 0) },
				"marks":           func() error { return jane.MarkMessagesAsRead(ctx, m, &chat.Message{}) },
				"where":           func() error { _, err := jane.Messages(ctx, chat.WhereRow(chat.M{"x": func() {}})); return err },
				"where of a body": func() error {
					return onlyIf(sealed, func() error {
						_, err := jane.Messages(ctx, chat.WhereRow(chat.M{"data": chat.M{"body": "x"}}))
						return err
					})
				},
				"order":               func() error { _, err := jane.Messages(ctx, chat.OrderBy("", "")); return err },
				"in":                  func() error { _, err := jane.Messages(ctx, chat.In(0)); return err },
				"limit":               func() error { _, err := talk.Messages().Fetch(ctx, chat.Limit(-1)); return err },
				"message":             func() error { _, err := talk.Messages().Get(ctx, 0); return err },
				"code":                func() error { _, err := jane.JoinConversation(ctx, " "); return err },
				"conversation":        func() error { _, err := jane.Conversation(ctx, 0); return err },
				"contact":             func() error { _, err := jane.ContactByUserID(ctx, " "); return err },
				"login":               func() error { _, err := jane.Login(ctx, chat.M{"Email": ""}); return err },
				"download":            func() error { _, _, err := jane.Download(ctx, m, 3, io.Discard); return err },
				"download to nothing": func() error { _, _, err := jane.Download(ctx, m, 0, nil); return err },
				"start":               func() error { _, err := jane.Stream(ctx, func(*chat.Message) {}, chat.StartAt(9)); return err },
				"consumer":            func() error { return jane.Consume(ctx, "", nil) },
				"history": func() error {
					for _, err := range jane.History(ctx, 0) {
						return err
					}
					return nil
				},
			} {
				before := len(w.Requests())
				err := call()
				if errors.Is(err, errSkipped) {
					continue
				}
				require.ErrorIs(t, err, chat.ErrInvalid, what)
				assert.Empty(t, w.Requests()[before:], what)
			}
			assert.Len(t, w.Rows(talk.ID), 1)
		})
	}
}

var errSkipped = errors.New("not with these options")

func onlyIf(holds bool, call func() error) error {
	if !holds {
		return errSkipped
	}
	return call()
}

func TestARefusedCreateHasWrittenNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n    func(w *world, twin int64) chat.NewConversation
		want error
	}{
		"an unknown contact": {func(w *world, _ int64) chat.NewConversation {
			return chat.NewConversation{Participants: []int64{w.ids["bob"], w.ids["eve"], 999999}}
		}, chat.ErrContactNotFound},
		"only the user, under another id": {func(w *world, twin int64) chat.NewConversation {
			return chat.NewConversation{Participants: []int64{twin, w.ids["jane"]}}
		}, chat.ErrContactNotFound},
		"more than can be read with the participants": {func(w *world, _ int64) chat.NewConversation {
			return chat.NewConversation{Participants: []int64{w.ids["bob"], w.ids["eve"]}, Metadata: chat.M{"x": strings.Repeat("y", 960<<10-180)}}
		}, datasource.ErrRowLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane := w.login("jane")
			twin := w.AddRows(w.contacts, datasource.M{"Email": "jane@example.org"})[0]
			before := w.Count(fliplettest.AnyWrite)
			_, err := jane.Create(t.Context(), c.n(w, twin))
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, chat.ErrInvalid, "it took a request to know")
			assert.Equal(t, before, w.Count(fliplettest.AnyWrite))
			for _, row := range w.Rows(w.contacts) {
				if row.ID != w.ids["jane"] {
					assert.NotContains(t, row.Data, "flUserId")
				}
			}
		})
	}
}

func TestWhatOnlyTheServerCanTellIsNoInvalidArgument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", func(o *chat.Options) {
		o.Cipher = must(chat.NewCipher(must(chat.NewKey("k", []byte(strings.Repeat("k", 32))))))
	})
	talk := w.converse(jane, "bob")
	m := w.say(jane, talk, "hello")
	for _, column := range []string{"guid", "fromUserId"} {
		_, err := jane.UpdateMessage(t.Context(), talk.ID, m.ID, chat.M{column: "another"})
		require.ErrorIs(t, err, chat.ErrSealed)
		require.NotErrorIs(t, err, chat.ErrInvalid)
		require.ErrorContains(t, err, column)
	}
	assert.Equal(t, m.GUID, w.Rows(talk.ID)[0].Data["guid"])
	w.Always(fliplettest.CrossSource, fliplettest.Status(404))
	_, err := jane.Messages(t.Context(), chat.WhereRow(chat.M{"data": chat.M{"x": chat.M{"$overlap": []int{1}}}}))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NotErrorIs(t, err, chat.ErrInvalid)
	_, err = jane.Message(t.Context(), talk.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Reader: brokenReader{}}}})
	require.Error(t, err)
	require.NotErrorIs(t, err, chat.ErrInvalid)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }
