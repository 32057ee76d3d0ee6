package chat_test

import (
	"fmt"
	"net/http"
	"slices"
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
)

// crowdOf logs n people in, each with a client of their own, to contacts of theirs.
func (w *world) crowdOf(n int) (clients []*chat.Chat, ids []int64) {
	w.t.Helper()
	var rows []datasource.M
	for i := range n {
		rows = append(rows, datasource.M{"Email": fmt.Sprintf("p%d@example.org", i)})
	}
	w.contacts, ids = w.AddContacts(rows...)
	for i := range n {
		clients = append(clients, w.login(fmt.Sprint("p", i)))
	}
	return clients, ids
}

// atOnce runs fn for 0…n-1 at the same time.
func atOnce(t testing.TB, n int, fn func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestTwoHundredSimultaneousCreatesEndWithOneConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clients, ids := w.crowdOf(10)
	create := func(i int) (*chat.Conversation, error) {
		others := slices.Clone(ids)
		others = append(others[i%10+1:], others[:i%10]...)
		return clients[i%10].Create(t.Context(), chat.NewConversation{Participants: others})
	}
	given := make([]int64, 200)
	atOnce(t, len(given), func(i int) error {
		conv, err := create(i)
		if err != nil {
			return err
		}
		if given[i] = conv.ID; conv.NParticipants != 10 {
			return fmt.Errorf("%d participants", conv.NParticipants)
		}
		return nil
	})
	agreed, err := create(0)
	require.NoError(t, err)
	assert.Equal(t, slices.Repeat([]int64{agreed.ID}, len(given)), given, "nobody was given another one")
	for i := range clients {
		conv, err := create(i)
		require.NoError(t, err)
		assert.Equal(t, agreed.ID, conv.ID)
		assert.False(t, conv.IsNew)
	}
	// Nor does it change their minds that somebody writes in another copy.
	var copies []int64
	for _, s := range w.Sources() {
		if s.Type == "conversation" {
			copies = append(copies, s.ID)
		}
	}
	assert.Equal(t, slices.Min(copies), agreed.ID)
	_, err = clients[3].Message(t.Context(), slices.Max(copies), chat.Draft{Body: "late"})
	require.NoError(t, err)
	conv, err := create(7)
	require.NoError(t, err)
	assert.Equal(t, agreed.ID, conv.ID)
}

func TestTwelveSimultaneousMembershipChangesLoseNone(t *testing.T) {
	t.Parallel()
	for _, clients := range []int{1, 12} {
		t.Run(fmt.Sprint(clients, " clients"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				people, ids := w.crowdOf(19)
				// 0 to 6 are in; 1 to 6 are taken out while 7 to 12 are added.
				conv, err := people[0].Create(t.Context(), chat.NewConversation{Participants: ids[1:7], Metadata: chat.M{"topic": "x"}})
				require.NoError(t, err)
				handles := make([]*chat.Conversation, clients)
				for i := range handles {
					client := people[0]
					if clients > 1 {
						client = w.login("p0")
					}
					list, err := client.Conversations(t.Context())
					require.NoError(t, err)
					require.Len(t, list, 1)
					handles[i] = list[0]
				}
				// Requests take their time, so that clients come between each other's steps.
				w.Sometimes(0.5, fliplettest.AnyRoute, fliplettest.Delay(10*time.Millisecond))
				atOnce(t, 12, func(i int) error {
					p := handles[i%clients].Participants()
					if i < 6 {
						return p.Remove(t.Context(), ids[i+1])
					}
					return p.Add(t.Context(), ids[i+1])
				})
				list, err := people[0].Conversations(t.Context())
				require.NoError(t, err)
				want := []string{people[0].User().UserID}
				var gone []string
				for i := 1; i <= 12; i++ {
					if i <= 6 {
						gone = append(gone, people[i].User().UserID)
					} else {
						want = append(want, people[i].User().UserID)
					}
				}
				assert.ElementsMatch(t, want, list[0].Participants().IDs())
				assert.ElementsMatch(t, gone, list[0].Definition.RemovedParticipants)
				assert.Equal(t, "x", list[0].Definition.Metadata["topic"])
				assert.Equal(t, conv.ID, list[0].ID)
			})
		})
	}
}

func TestTwelvePeopleMarkTheSameMessagesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		people, ids := w.crowdOf(13)
		conv, err := people[0].Create(t.Context(), chat.NewConversation{Participants: ids[1:]})
		require.NoError(t, err)
		for i := range 5 {
			w.say(people[0], conv, fmt.Sprint(i))
		}
		// Requests take their time, so that readers come between each other's steps.
		w.Sometimes(0.5, fliplettest.AnyRoute, fliplettest.Delay(10*time.Millisecond))
		atOnce(t, 12, func(i int) error {
			unread, err := people[i+1].Unread().Get(t.Context())
			if err != nil {
				return err
			}
			return people[i+1].MarkMessagesAsRead(t.Context(), unread...)
		})
		for _, row := range w.Rows(conv.ID) {
			assert.Len(t, row.Data["readBy"], 13)
			assert.Contains(t, row.Data, "body")
		}
		for i, p := range people {
			n, err := p.Unread().Count(t.Context())
			require.NoError(t, err)
			assert.Zero(t, n, i)
		}
		assert.Zero(t, w.RowsDropped())
	})
}

func TestMarkingMakesOneWriteForEachConversationAndNoneForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		one, two := w.converse(jane, "bob"), w.converse(jane, "bob", "eve")
		for range 3 {
			w.say(jane, one, "x")
			w.say(jane, two, "y")
		}
		gone := w.say(jane, one, "gone")
		unread, err := bob.Unread().Get(t.Context())
		require.NoError(t, err)
		require.Len(t, unread, 7)
		require.NoError(t, jane.DeleteMessage(t.Context(), one.ID, gone.ID))
		require.NoError(t, bob.MarkMessagesAsRead(t.Context(), append(unread, unread[0])...))
		assert.Equal(t, 2, w.Count(fliplettest.Commit))
		before := len(w.Requests())
		for _, m := range unread {
			if m.ID != gone.ID {
				assert.True(t, m.IsReadByCurrentUser)
				assert.Contains(t, m.ReadBy, bob.User().UserID)
			}
		}
		own := w.say(bob, one, "mine")
		require.NoError(t, bob.MarkMessagesAsRead(t.Context(), own))
		require.NoError(t, bob.MarkMessagesAsRead(t.Context()))
		assert.Equal(t, before+1, len(w.Requests()), "the send alone")
		require.ErrorIs(t, bob.MarkMessagesAsRead(t.Context(), nil), chat.ErrInvalid)
		require.ErrorIs(t, bob.MarkMessagesAsRead(t.Context(), &chat.Message{ID: 1}), chat.ErrInvalid)
	})
}

// afterWrite lets something happen right after the first change of a data source.
type afterWrite struct {
	http.RoundTripper
	once sync.Once
	then func()
}

func (a *afterWrite) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.RoundTripper.RoundTrip(r)
	if r.Method == http.MethodPut && strings.Count(r.URL.Path, "/") == 3 {
		a.once.Do(a.then)
	}
	return resp, err
}

func TestAChangeThatOthersOverwroteIsMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		conv := w.converse(w.login("jane"), "bob")
		stale, err := w.Client().DataSource(t.Context(), conv.ID)
		require.NoError(t, err)
		hook := &afterWrite{RoundTripper: w.Transport(), then: func() {
			// Somebody who read before our write writes after it.
			_, err := w.Client().UpdateDataSource(t.Context(), conv.ID, datasource.SourcePatch{Definition: stale.Definition})
			assert.NoError(t, err)
		}}
		jane := w.login("jane", func(o *chat.Options) {
			o.Client = must(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: hook}}))
		})
		list, err := jane.Conversations(t.Context())
		require.NoError(t, err)
		require.NoError(t, list[0].Participants().Add(t.Context(), w.ids["eve"]))
		assert.Len(t, list[0].Participants().IDs(), 3)
		assert.Equal(t, 3, w.Count(fliplettest.UpdateSource))
		list, err = jane.Conversations(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3, list[0].NParticipants)

		before := w.Count(fliplettest.UpdateSource)
		require.NoError(t, list[0].Participants().Add(t.Context(), w.ids["eve"]))
		require.NoError(t, list[0].Participants().Remove(t.Context(), w.ids["eve"]))
		require.NoError(t, list[0].Participants().Remove(t.Context(), w.ids["eve"]))
		assert.Equal(t, before+1, w.Count(fliplettest.UpdateSource), "nothing is written without a change")
	})
}
