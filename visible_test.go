package chat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
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

// askedKeys are Keys that record for which conversations they were asked.
type askedKeys struct {
	mu  sync.Mutex
	ids map[int64]bool
}

func (k *askedKeys) Key(_ context.Context, id int64) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ids[id] = true
	return "one passphrase for all of them", nil
}

// atLeisure polls at the default cadence.
func atLeisure(o *chat.Options) { o.LivePollInterval, o.PollInterval = 0, 0 }

// crowd stores conversations that Jane is not in, each with messages.
func (w *world) crowd(n, messages int) (ids []int64) {
	for i := range n {
		id := w.AddDataSource(datasource.M{"name": fmt.Sprint("foreign ", i), "type": "conversation", "appId": w.AppID, "definition": datasource.M{"participants": []string{"u-else"}}})
		for m := range messages {
			w.AddRows(id, datasource.M{"body": fmt.Sprint("foreign ", i, " ", m), "guid": fmt.Sprint(i, m), "fromUserId": "u-else", "readBy": []string{}})
		}
		ids = append(ids, id)
	}
	return ids
}

func TestRowsOfConversationsThatTheUserIsNotInAreNeverShown(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]chat.From{"from the newest": chat.FromNewest, "from the beginning": chat.FromBeginning} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				keys := &askedKeys{ids: map[int64]bool{}}
				jane := w.login("jane", atLeisure, func(o *chat.Options) { o.Keys, o.Storage = keys, storage.NewMemory() })
				bob := w.login("bob", func(o *chat.Options) { o.Keys = &askedKeys{ids: map[int64]bool{}} })
				conv := w.converse(bob, "jane")
				var own []string
				for i := range 15 {
					own = append(own, w.say(bob, conv, fmt.Sprint("own ", i)).Body)
				}
				foreign := append(w.crowd(30, 5), w.converse(bob, "eve").ID)
				_, err := bob.Message(t.Context(), foreign[30], chat.Draft{Body: "between bob and eve"})
				require.NoError(t, err)
				w.Always(fliplettest.CrossSource, fliplettest.Everybody())

				n, err := jane.Unread().Count(t.Context())
				require.NoError(t, err)
				assert.Equal(t, len(own), n, "before any row was seen")
				msgs, err := jane.Messages(t.Context())
				require.NoError(t, err)
				assert.Equal(t, own, bodies(msgs))
				msgs, err = jane.Messages(t.Context(), chat.OrderBy("id", datasource.Asc), chat.Limit(3), chat.Offset(1))
				require.NoError(t, err)
				assert.Equal(t, own[1:4], bodies(msgs))
				unread, err := jane.Unread().Get(t.Context())
				require.NoError(t, err)
				assert.Equal(t, own, bodies(unread))
				n, err = jane.Unread().Count(t.Context())
				require.NoError(t, err)
				assert.Equal(t, len(own), n)
				history := leaf(t, jane, conv.ID, chat.PageSize(4))
				slices.Reverse(history)
				assert.Equal(t, own, history)

				streamed, consumed := newRecorder(), newRecorder()
				_, err = jane.Stream(t.Context(), streamed.add, chat.StartAt(start))
				require.NoError(t, err)
				stop := consume(jane, "all", func(_ context.Context, m *chat.Message) error { consumed.add(m); return nil }, chat.StartAt(start))
				streamed.wait(t, len(own))
				w.AddRows(foreign[0], datasource.M{"body": "late", "guid": "late"})
				own = append(own, w.say(bob, conv, "news").Body)
				_, err = w.Client().Update(t.Context(), foreign[1], w.Rows(foreign[1])[0].ID, datasource.M{"body": "edited"})
				require.NoError(t, err)
				require.NoError(t, w.Client().Delete(t.Context(), foreign[1], w.Rows(foreign[1])[1].ID))
				time.Sleep(10 * time.Minute) // polls, several readings of the list, and the longest rest
				require.NoError(t, jane.Poll(t.Context(), chat.Reset()))
				time.Sleep(time.Minute)
				var fresh []string
				for _, m := range streamed.all() {
					assert.Equal(t, conv.ID, m.ConversationID)
					if !m.IsReplay {
						fresh = append(fresh, m.Body)
					}
				}
				assert.Equal(t, own, fresh)
				for _, m := range consumed.all() {
					assert.Equal(t, conv.ID, m.ConversationID)
				}
				assert.Subset(t, bodies(consumed.all()), own)
				require.ErrorIs(t, stop(), context.Canceled)
				assert.Equal(t, map[int64]bool{conv.ID: true}, keys.ids, "keys were asked for")
			})
		})
	}
}

func TestOwnMessagesAreFoundBehindAnyNumberOfForeignOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", plainBodies)
		conv := w.converse(jane, "bob")
		archive(w, conv, 250, 10)
		w.crowd(3, 300) // newer
		w.Always(fliplettest.CrossSource, fliplettest.Everybody())
		msgs, err := jane.Messages(t.Context())
		require.NoError(t, err)
		want := countdown(250)
		slices.Reverse(want)
		assert.Equal(t, want[50:], bodies(msgs))
		all := stream(t, jane, chat.StartAt(chat.FromBeginning))
		assert.Equal(t, want, bodies(all.wait(t, 250)))
	})
}

func TestRowPlantedUnderAForeignConversationIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv, foreign := w.converse(jane, "bob"), w.crowd(1, 1)[0]
	w.say(jane, conv, "own")
	invoices := w.AddDataSource(datasource.M{"name": "Invoices"})
	for _, id := range []any{foreign, fmt.Sprint(foreign), invoices, 999999, -1, nil} {
		w.AddRows(conv.ID, datasource.M{"body": "planted", "conversationId": id})
	}
	w.Always(fliplettest.CrossSource, fliplettest.OmitFields("dataSourceId"))
	msgs, err := jane.Messages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"own"}, bodies(msgs))
	got := stream(t, jane).all()
	assert.Equal(t, []string{"own"}, bodies(got))
}

// nonMember is every call about a conversation, made by somebody who is not in it.
func nonMember(ctx context.Context, c *chat.Chat, handle *chat.Conversation, id, row int64) map[string]error {
	m := &chat.Message{ID: row, ConversationID: id, Files: []string{"v1/media/files/1/contents/a.png"}, CreatedAt: time.Now()}
	got := map[string]error{}
	_, got["Messages"] = c.Messages(ctx, chat.In(id))
	_, got["Messages, ordered"] = c.Messages(ctx, chat.In(id), chat.OrderBy("id", datasource.Asc))
	_, got["Message"] = c.Message(ctx, id, chat.Draft{Body: "hello"})
	_, got["Message again"] = c.Message(ctx, id, chat.Draft{Body: "hello", GUID: "g"})
	_, got["UpdateMessage"] = c.UpdateMessage(ctx, id, row, chat.M{"body": "changed"})
	_, got["UpdateMessage, columns"] = c.UpdateMessage(ctx, id, row, chat.M{"amount": 0})
	got["DeleteMessage"] = c.DeleteMessage(ctx, id, row)
	got["MarkMessagesAsRead"] = c.MarkMessagesAsRead(ctx, m)
	_, got["Reencrypt"] = c.Reencrypt(ctx, id, nil)
	_, _, got["Download"] = c.Download(ctx, m, 0, io.Discard)
	for _, err := range c.History(ctx, id) {
		got["History"] = err
	}
	for _, err := range c.History(ctx, id, chat.Before(m)) {
		got["History before"] = err
	}
	_, got["Conversation"] = c.Conversation(ctx, id)
	if handle != nil {
		_, got["Fetch"] = handle.Messages().Fetch(ctx)
		_, got["Get"] = handle.Messages().Get(ctx, row)
		_, got["InviteCode"] = handle.InviteCode(ctx)
	}
	return got
}

func TestEveryCallTellsANonMemberNotFound(t *testing.T) {
	t.Parallel()
	for _, leaks := range []bool{false, true} {
		for _, endpoint := range []int{0, 404} {
			t.Run(fmt.Sprint(leaks, endpoint), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					jane, bob := w.login("jane"), w.login("bob")
					left, err := bob.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["jane"], w.ids["eve"]}, AllowInvite: true})
					require.NoError(t, err)
					w.say(bob, left, "before")
					handle, err := jane.Conversation(t.Context(), left.ID)
					require.NoError(t, err)
					require.NoError(t, left.Participants().Remove(t.Context(), w.ids["jane"]))
					_, err = jane.Conversations(t.Context()) // the list is read again
					require.NoError(t, err)

					channel, err := jane.Channels().Create(t.Context(), "News")
					require.NoError(t, err)
					invoices := w.AddDataSource(datasource.M{"name": "Invoices", "definition": datasource.M{"participants": []string{jane.User().UserID}}})
					if leaks {
						w.Always(fliplettest.CrossSource, fliplettest.Everybody())
					}
					if endpoint != 0 {
						w.Always(fliplettest.CrossSource, fliplettest.Status(endpoint))
					}
					for what, c := range map[string]struct {
						id     int64
						handle *chat.Conversation
					}{
						"left": {left.ID, handle}, "others'": {w.converse(bob, "eve").ID, nil}, "channel": {channel.ID, nil},
						"no members": {w.AddDataSource(datasource.M{"name": "empty", "type": "conversation"}), nil},
						"invoices":   {invoices, nil}, "contacts": {w.contacts, nil}, "not there": {999999, nil},
					} {
						var row int64 = 1
						if c.id != 999999 && c.id != w.contacts {
							row = w.AddRows(c.id, datasource.M{"body": "secret", "amount": 100, "readBy": []string{}})[0]
						}
						before := fmt.Sprint(w.Rows(c.id))
						for call, err := range nonMember(t.Context(), jane, c.handle, c.id, row) {
							assert.ErrorIs(t, err, chat.ErrNotFound, "%s: %s", what, call)
						}
						assert.Equal(t, before, fmt.Sprint(w.Rows(c.id)), "%s was changed", what)
					}
				})
			})
		}
	}
}

func TestASwappedIdTouchesNothingThatIsNoConversation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		invoices := w.AddDataSource(datasource.M{"name": "Invoices", "definition": datasource.M{"participants": []string{jane.User().UserID}}})
		invoice := w.AddRows(invoices, datasource.M{"amount": 100, "body": "for services"})[0]
		before, asked := w.columns(invoices, invoice), len(w.Requests())
		for range 3 {
			for call, err := range nonMember(t.Context(), jane, nil, invoices, invoice) {
				require.ErrorIs(t, err, chat.ErrNotFound, call)
				require.ErrorContains(t, err, "not a conversation", call)
			}
			time.Sleep(time.Hour)
		}
		assert.Equal(t, before, w.columns(invoices, invoice))
		// Conversation, which reads one, asks each time; all other calls together once.
		assert.Len(t, w.Requests(), asked+3+1)

		// So does a program that has not logged in.
		c := w.connect()
		asked = len(w.Requests())
		_, err := c.Reencrypt(t.Context(), invoices, nil)
		require.ErrorIs(t, err, chat.ErrNotFound)
		assert.Len(t, w.Requests(), asked+1)
		assert.Equal(t, before, w.columns(invoices, invoice))
	})
}

func TestAQueuedMessageGoesToConversationsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		invoices := w.AddDataSource(datasource.M{"name": "Invoices"})
		jane := w.withOutbox(storage.NewMemory())
		_, err := jane.Outbox().Add(t.Context(), invoices, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrNotFound)

		// What could not be checked when it was accepted is checked before it is sent.
		offline := w.Always(fliplettest.AnyRoute, fliplettest.LoseRequest())
		_, err = jane.Outbox().Add(t.Context(), w.AddDataSource(datasource.M{"name": "Offers"}), chat.Draft{Body: "x"})
		require.NoError(t, err)
		offline.Off()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		for _, s := range w.Sources() {
			if s.Name == "Invoices" || s.Name == "Offers" {
				assert.Empty(t, w.Rows(s.ID), s.Name)
			}
		}
	})
}

func TestAfterARemovalNothingFurtherIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", plainBodies, atLeisure), w.login("bob", plainBodies)
		conv, other := w.converse(bob, "jane", "eve"), w.converse(bob, "jane")
		w.Always(fliplettest.CrossSource, fliplettest.Everybody())
		got := stream(t, jane)
		w.say(bob, conv, "while she was in")
		got.wait(t, 1)
		require.NoError(t, conv.Participants().Remove(t.Context(), w.ids["jane"]))
		_, err := jane.Conversations(t.Context())
		require.NoError(t, err)
		w.say(bob, conv, "behind her back")
		_, err = bob.UpdateMessage(t.Context(), conv.ID, got.all()[0].ID, chat.M{"body": "edited"})
		require.NoError(t, err)
		w.say(bob, other, "to her")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, []string{"while she was in", "to her"}, bodies(got.all()))
		msgs, err := jane.Messages(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"to her"}, bodies(msgs))

		// Who is taken in again gets what she missed.
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["jane"]))
		time.Sleep(10 * time.Minute)
		w.say(bob, conv, "welcome back")
		time.Sleep(10 * time.Minute)
		assert.Contains(t, bodies(got.all()), "welcome back")
		assert.Contains(t, bodies(got.all()), "behind her back")
	})
}

func TestWhoJoinsOnAnotherDeviceIsAMemberAMomentLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		phone, desk := w.login("jane"), w.login("jane")
		channel, err := desk.Channels().Create(t.Context(), "News")
		require.NoError(t, err)
		_, err = phone.Messages(t.Context(), chat.In(channel.ID))
		require.ErrorIs(t, err, chat.ErrNotFound)
		_, err = desk.Channels().Join(t.Context(), channel.ID)
		require.NoError(t, err)
		_, err = desk.Messages(t.Context(), chat.In(channel.ID))
		require.NoError(t, err, "who joined here is a member at once")
		time.Sleep(6 * time.Second)
		_, err = phone.Messages(t.Context(), chat.In(channel.ID))
		require.NoError(t, err)
	})
}

func TestAStreamReadsTheListOfConversationsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		bob := w.login("bob", plainBodies)
		conv := w.converse(bob, "jane")
		jane := w.login("jane", plainBodies, atLeisure)
		lists, reads := w.Count(fliplettest.ListSources), w.Count(fliplettest.GetSource)
		got := stream(t, jane)
		w.say(bob, conv, "streamed")
		time.Sleep(4 * time.Minute)
		assert.Equal(t, "streamed", got.all()[len(got.all())-1].Body)
		assert.Equal(t, 1, w.Count(fliplettest.ListSources)-lists)
		assert.Zero(t, w.Count(fliplettest.GetSource)-reads)
	})
}

func TestAServerThatShowsTooMuchDoesNotMakeThePollsDear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", plainBodies, atLeisure)
		conv := w.converse(jane, "bob")
		foreign := w.crowd(40, 1)
		w.Always(fliplettest.CrossSource, fliplettest.Everybody())
		got := stream(t, jane)
		extra := func() int { return w.Count(fliplettest.ListSources) + w.Count(fliplettest.GetSource) }
		before := extra()
		for i := range 60 { // an hour in which somebody writes somewhere all the time
			w.AddRows(foreign[i%len(foreign)], datasource.M{"body": "x", "guid": fmt.Sprint("later ", i)})
			time.Sleep(time.Minute)
		}
		assert.Less(t, extra()-before, 180)
		w.say(jane, conv, "own")
		assert.Equal(t, []string{"own"}, bodies(got.wait(t, 1)))
	})
}

func TestAConversationThatCannotBeReadHidesItselfOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", plainBodies)
		w.say(jane, w.converse(jane, "bob"), "own")
		w.crowd(2, 1)
		w.Always(fliplettest.CrossSource, fliplettest.Everybody())
		w.Always(fliplettest.GetSource, fliplettest.Status(500))
		msgs, err := jane.Messages(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"own"}, bodies(msgs))
		w.Always(fliplettest.ListSources, fliplettest.Status(500))
		fresh := w.login("jane", plainBodies)
		_, err = fresh.Messages(t.Context())
		var refused *datasource.Error
		require.True(t, errors.As(err, &refused), "without the list nobody can tell whose rows these are")
	})
}

func TestAnOldListInStorageMakesNobodyAMemberAgain(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store := func(s storage.Store) func(*chat.Options) { return func(o *chat.Options) { o.Storage = s } }(storage.NewMemory())
		bob := w.login("bob")
		conv := w.converse(bob, "jane", "eve")
		w.say(bob, conv, "secret")
		_, err := w.login("jane", store).Conversations(t.Context())
		require.NoError(t, err)
		require.NoError(t, conv.Participants().Remove(t.Context(), w.ids["jane"]))

		jane := w.login("jane", store)
		_, err = jane.Messages(t.Context(), chat.In(conv.ID))
		require.ErrorIs(t, err, chat.ErrNotFound)
		old, err := jane.Conversations(t.Context(), chat.Offline())
		require.NoError(t, err)
		require.Len(t, old, 1)
		_, err = old[0].Messages().Fetch(t.Context())
		require.ErrorIs(t, err, chat.ErrNotFound)
	})
}
