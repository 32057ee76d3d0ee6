package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// keysOf are those that a store holds.
func keysOf(s *inspected) []string {
	out := []string{}
	s.each(func(key string, value []byte) {
		if string(value) != "[]" && !strings.HasSuffix(key, "//users/lists") { // lists without a user, and how many there are
			out = append(out, key)
		}
	})
	return out
}

func TestALogoutLeavesNoKeyOfTheUserInStorage(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store := newInspected()
		jane := w.login("jane", func(o *chat.Options) { o.Storage, o.CrossLogin = store, true })
		w.say(jane, w.converse(jane, "bob"), "hello")
		stream(t, jane).wait(t, 1)
		_, err := jane.Contacts(t.Context())
		require.NoError(t, err)
		_, err = jane.Conversations(t.Context())
		require.NoError(t, err)
		sub, err := jane.Stream(t.Context(), func(*chat.Message) {}) // its end stores what was seen
		require.NoError(t, err)
		sub.Stop()
		ended(t, sub.Done())
		before := strings.Join(keysOf(store), "\n")
		for _, name := range []string{"/user", "/contacts", "/conversations", "fl-chat-auth-email", "fl-chat-user-id", "fl-chat-user-token"} {
			require.Contains(t, before, name)
		}
		require.NoError(t, jane.Logout(t.Context()))
		assert.Equal(t, []string{"fl-chat-source-id"}, keysOf(store))
	})
}

func TestWhatIsUnderWayWritesNothingAfterALogout(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(ctx context.Context, c *chat.Chat){
		"contacts":      func(ctx context.Context, c *chat.Chat) { _, _ = c.Contacts(ctx) },
		"conversations": func(ctx context.Context, c *chat.Chat) { _, _ = c.Conversations(ctx) },
		"a poll":        func(ctx context.Context, c *chat.Chat) { _ = c.Poll(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				store := newInspected()
				jane := w.login("jane", func(o *chat.Options) { o.Storage = store })
				w.say(jane, w.converse(jane, "bob"), "hello")
				_, err := jane.Stream(t.Context(), func(*chat.Message) {})
				require.NoError(t, err)
				time.Sleep(time.Minute)
				lever := w.Always(fliplettest.AnyRead, fliplettest.DelayAnswer(3*time.Second))
				var wg sync.WaitGroup
				wg.Go(func() { call(t.Context(), jane) })
				time.Sleep(time.Second)
				require.NoError(t, jane.Logout(t.Context()))
				wg.Wait()
				time.Sleep(time.Hour)
				require.Positive(t, lever.Hits())
				assert.Empty(t, keysOf(store))
				require.NoError(t, jane.Close())
			})
		})
	}
}

func TestServersThatShareAStorageShareNoCache(t *testing.T) {
	t.Parallel()
	store := storage.NewMemory()
	here, there := newWorld(t), newWorld(t)
	require.Equal(t, here.contacts, there.contacts, "the same ids")
	change := func(o *chat.Options) { o.Storage = store }
	jane := here.login("jane", change)
	here.converse(jane, "bob")
	_, err := jane.Contacts(t.Context())
	require.NoError(t, err)
	_, err = jane.Conversations(t.Context())
	require.NoError(t, err)
	other := there.connect(change)
	before := there.Count(fliplettest.Query)
	_, err = other.Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
	require.NoError(t, err)
	assert.Equal(t, before+1, there.Count(fliplettest.Query), "a login online: nobody is cached for this server")
	contacts, err := other.Contacts(t.Context(), chat.Offline())
	require.NoError(t, err)
	assert.Empty(t, contacts)
	talks, err := other.Conversations(t.Context(), chat.Offline())
	require.NoError(t, err)
	assert.Empty(t, talks)
}

func TestAPartOfTheContactsDoesNotReplaceTheCachedList(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		jane := w.login("jane", func(o *chat.Options) { o.Storage = storage.NewMemory() })
		_, err := jane.Contacts(t.Context(), chat.OrderBy("id", datasource.Asc))
		require.NoError(t, err)
		for name, o := range map[string]chat.ContactsOption{
			"offset": chat.Offset(1), "limit": chat.Limit(1), "where": chat.Where(chat.M{"Full name": "bob"}), "query": chat.Query(datasource.Query{Attributes: []string{"Full name"}}),
		} {
			_, err := jane.Contacts(t.Context(), o)
			require.NoError(t, err)
			cached, err := jane.Contacts(t.Context(), chat.Offline())
			require.NoError(t, err)
			assert.Len(t, cached, len(people), name)
			for _, c := range cached {
				assert.Contains(t, c.Data, "Email", name)
			}
		}
	})
}

func TestListenersShareNothingOfAMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		conv := w.converse(jane, "bob")
		var seen [3]string
		for i := range seen {
			_, err := bob.Stream(t.Context(), func(m *chat.Message) {
				seen[i] = fmt.Sprint(m.Body, m.ReadBy, m.Data["body"], m.Data["tags"], m.Data["deep"])
				m.Body, m.ReadBy[0], m.Data["body"] = "spoilt", "spoilt", "spoilt"
				m.Data["tags"].([]any)[0] = "spoilt"
				m.Data["deep"].(chat.M)["x"] = "spoilt"
			})
			require.NoError(t, err)
		}
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hello", Data: chat.M{"tags": []string{"a"}, "deep": chat.M{"x": "y"}}})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, bob.Shutdown(t.Context()))
		for _, s := range seen {
			assert.Equal(t, fmt.Sprint("hello", []string{jane.User().UserID}, "hello", []any{"a"}, chat.M{"x": "y"}), s)
		}
	})
}

func TestNobodyPollsForAUserWhoIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		w.converse(jane, "bob")
		sub, err := jane.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		w.remove(w.contacts, w.ids["jane"])
		time.Sleep(10 * time.Minute)
		ended(t, sub.Done())
		require.ErrorIs(t, sub.Err(), chat.ErrContactNotFound)
		before := len(w.Requests())
		time.Sleep(24 * time.Hour)
		assert.Len(t, w.Requests(), before)
		require.NoError(t, jane.Close())
	})
}

// A server that shows everybody's rows, so that only the list of conversations tells which
// are the user's: the stream reads it again, and brings the history of a join.
func TestStreamsReadTheListOfConversationsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv := w.converse(jane, "eve")
		w.say(jane, conv, "before the join")
		w.converse(bob, "eve")
		r := newRecorder()
		_, err := bob.Stream(t.Context(), r.add)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		lists := w.Count(fliplettest.ListSources)
		time.Sleep(30 * time.Minute)
		assert.Greater(t, w.Count(fliplettest.ListSources), lists, "every five minutes, though nothing happens")
		assert.Empty(t, r.all())
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, []string{"before the join"}, bodies(r.all()), "nobody has said anything since")
		require.NoError(t, jane.Close())
		require.NoError(t, bob.Close())
	})
}

func TestSimultaneousCreatesAgree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		w.Always(fliplettest.CreateSource, fliplettest.Delay(time.Second))
		var ids [2]atomic.Int64
		var wg sync.WaitGroup
		for i, c := range []*chat.Chat{jane, bob} {
			wg.Go(func() { ids[i].Store(w.converse(c, []string{"bob", "jane"}[i]).ID) })
		}
		wg.Wait()
		require.Equal(t, 2, w.Count(fliplettest.CreateSource), "both found none")
		assert.Equal(t, ids[0].Load(), ids[1].Load())
		lowest := w.Sources()[len(w.Sources())-2].ID
		assert.Equal(t, lowest, ids[0].Load())
		assert.Equal(t, lowest, w.converse(bob, "jane").ID)
	})
}

func TestAKeyInARowIsShownToNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	r := stream(t, bob)
	w.AddRows(conv.ID, datasource.M{"body": "hello", "fromUserId": jane.User().UserID, "guid": "g", "_flSchema": datasource.M{"file": datasource.M{"encryptionKey": "the-key"}}})
	shown := r.wait(t, 1)
	fetched, err := conv.Messages().Fetch(t.Context())
	require.NoError(t, err)
	latest, err := bob.Messages(t.Context())
	require.NoError(t, err)
	for _, m := range append(append(shown, fetched...), latest...) {
		assert.NotContains(t, m.Data, "_flSchema")
		assert.NotContains(t, string(must(json.Marshal(m))), "the-key")
	}
	own := chat.Message{ID: 1, Data: chat.M{"_flSchema": chat.M{"file": chat.M{"encryptionKey": "the-key"}}}}
	assert.NotContains(t, string(must(json.Marshal(own))), "the-key", "nor of a message that the program made")
	assert.Contains(t, own.Data, "_flSchema", "which stays as it is")
}

func TestTheKeyIsForPrivateFilesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tap := &requestTap{next: w.Transport()}
	jane := w.login("jane", plainBodies, w.through(tap), func(o *chat.Options) { o.FileKeysInURLs = true })
	conv := w.converse(jane, "bob")
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("open")}}})
	require.NoError(t, err)
	require.NotContains(t, m.Data, "hasMediaFileWithPrivateEncryptionKey")
	assert.NotContains(t, m.Files[0], "encryptionKey")
	before := len(tap.all())
	var got bytes.Buffer
	_, _, err = jane.Download(t.Context(), m, 0, &got)
	require.NoError(t, err)
	assert.Equal(t, "open", got.String())
	for _, r := range tap.all()[before:] {
		assert.False(t, holds(r.url.String(), conv.EncryptionKey()), r.String())
	}
}

func TestARefusedTokenLeavesStorageAtOnce(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store := newInspected()
		jane := w.login("jane", func(o *chat.Options) { o.Storage = store })
		w.converse(jane, "bob")
		token := w.token("jane")
		require.Contains(t, store.dump(), token)
		require.NoError(t, w.login("jane").Logout(t.Context()), "on another device")
		w.Always(fliplettest.Query, fliplettest.Status(500))
		_, err := jane.Messages(t.Context())
		require.Error(t, err)
		assert.NotContains(t, store.dump(), token)
	})
}

// closing counts bodies of responses that nobody has closed.
type closing struct {
	next   http.RoundTripper
	opened atomic.Int64
	closed atomic.Int64
}

type closedBody struct {
	io.ReadCloser
	of   *closing
	once sync.Once
}

func (c *closedBody) Close() error {
	c.once.Do(func() { c.of.closed.Add(1) })
	return c.ReadCloser.Close()
}

func (c *closing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		c.opened.Add(1)
		resp.Body = &closedBody{ReadCloser: resp.Body, of: c}
	}
	return resp, err
}

func TestEveryBodyOfAnAnswerIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &closing{next: w.Transport()}
	jane := w.login("jane", w.through(c))
	conv := w.converse(jane, "bob")
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x", Files: []chat.File{{Name: "a.txt", Content: []byte("A")}}})
	require.NoError(t, err)
	_, _, err = jane.Download(t.Context(), m, 0, io.Discard)
	require.NoError(t, err)
	for _, fault := range []fliplettest.Fault{
		fliplettest.Status(500), fliplettest.Status(403), fliplettest.Status(404), fliplettest.Answer(200, "<html>"), fliplettest.Answer(200, ""), fliplettest.Cut(), fliplettest.TooMany(time.Millisecond),
	} {
		w.Next(1, fliplettest.AnyRoute, fault)
		_, _ = jane.Conversations(t.Context())
		w.Next(1, fliplettest.AnyRoute, fault)
		_, _ = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"x": 1})
		w.Next(1, fliplettest.AnyRoute, fault)
		_, _, _ = jane.Download(t.Context(), m, 0, io.Discard)
	}
	require.Greater(t, c.opened.Load(), int64(20))
	assert.Equal(t, c.opened.Load(), c.closed.Load())
}

func TestAuthenticatedAcceptsNoPassphraseFormat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "in the passphrase format")
	cipher := must(chat.NewCipher(must(chat.NewKey("k", []byte(strings.Repeat("k", 32))))))
	strict := w.login("bob", func(o *chat.Options) { o.Cipher, o.MinProtection = cipher, chat.Authenticated })
	w.say(strict, conv, "sealed")
	msgs, err := strict.Messages(t.Context())
	require.NoError(t, err)
	require.Len(t, msgs, 2)
	require.ErrorIs(t, msgs[0].Err, chat.ErrUnprotected)
	assert.Empty(t, msgs[0].Body)
	assert.NotContains(t, fmt.Sprint(msgs[0].Data), "passphrase format")
	require.NoError(t, msgs[1].Err)
	assert.Equal(t, "sealed", msgs[1].Body)
}

func TestALookUpByGUIDFindsNobodyElsesMessage(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*chat.Options){"plain": plainBodies, "sealed": func(*chat.Options) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane, bob := w.login("jane", change), w.login("bob", change)
			conv := w.converse(jane, "bob")
			d := chat.Draft{Body: "the same", GUID: "mine", Data: chat.M{"readBy": []string{jane.User().UserID, bob.User().UserID}}}
			theirs, err := bob.Message(t.Context(), conv.ID, d)
			require.NoError(t, err)
			ours, err := jane.Message(t.Context(), conv.ID, d)
			require.NoError(t, err)
			assert.NotEqual(t, theirs.ID, ours.ID)
			assert.Equal(t, jane.User().UserID, ours.FromUserID)
			again, err := jane.Message(t.Context(), conv.ID, d)
			require.NoError(t, err)
			assert.Equal(t, ours.ID, again.ID)
			assert.Len(t, w.Rows(conv.ID), 2)
		})
	}
}

// Whoever changes who is in a conversation has a stream that knows it at once, not with the
// next list of conversations.
func TestStreamsAreToldAtOnceOfChangedMembers(t *testing.T) {
	t.Parallel()
	for name, join := range map[string]func(t *testing.T, w *world, jane, bob *chat.Chat) (*chat.Conversation, func()){
		"a channel": func(t *testing.T, w *world, jane, bob *chat.Chat) (*chat.Conversation, func()) {
			ch, err := jane.Channels().Create(t.Context(), "News")
			require.NoError(t, err)
			conv, err := jane.Channels().Join(t.Context(), ch.ID)
			require.NoError(t, err)
			return conv, func() { _, err := bob.Channels().Join(t.Context(), ch.ID); require.NoError(t, err) }
		},
		"a code": func(t *testing.T, w *world, jane, bob *chat.Chat) (*chat.Conversation, func()) {
			conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["eve"]}, AllowInvite: true})
			require.NoError(t, err)
			code, err := conv.InviteCode(t.Context())
			require.NoError(t, err)
			return conv, func() { _, err := bob.JoinConversation(t.Context(), code); require.NoError(t, err) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv, enter := join(t, w, jane, bob)
				w.say(jane, conv, "before")
				w.converse(bob, "eve")
				r := newRecorder()
				_, err := bob.Stream(t.Context(), r.add)
				require.NoError(t, err)
				time.Sleep(time.Minute)
				enter()
				time.Sleep(3 * time.Second)
				assert.Equal(t, []string{"before"}, bodies(r.all()))
				require.NoError(t, jane.Close())
				require.NoError(t, bob.Close())
			})
		})
	}
}
