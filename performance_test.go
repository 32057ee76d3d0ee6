package chat_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// costs are the requests of a call: in a Chat that has only logged in, in the same Chat
// later, and those that a stream makes because of it.
type costs struct{ first, later, stream int }

// theCosts reads the table in docs/performance.md. Its first column has the names of
// calls that cost the same.
func theCosts(t *testing.T) map[string]costs {
	t.Helper()
	raw, err := os.ReadFile("docs/performance.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(raw), "| call | first | later | a stream adds |\n|---|---|---|---|\n")
	require.True(t, ok)
	out := map[string]costs{}
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			break
		}
		var n [3]int
		for i := range n {
			n[i], err = strconv.Atoi(strings.TrimSpace(cells[i+1]))
			require.NoError(t, err, line)
		}
		for _, m := range codeSpan.FindAllStringSubmatch(cells[0], -1) {
			out[m[1]] = costs{n[0], n[1], n[2]}
		}
	}
	return out
}

// stall is where a call is counted: Jane has it made, and Bob prepares it.
type stall struct {
	ctx       context.Context // of what is counted
	w         *world
	jane, bob *chat.Chat
	conv      *chat.Conversation // of both, with an invite code; Jane's own for the calls that it has
	shared    *chat.Conversation // the same, as Bob has it
	m         *chat.Message      // of Bob's, unread
	own       *chat.Message      // of Jane's
	grows     bool               // each time there is another member
	guest     int64              // that member
	channel   *chat.Channel      // a new one each time
	code      string             // of a conversation that Jane is not in, a new one each time
}

var counted = map[string]func(s *stall) error{
	"Login": func(s *stall) error {
		return outcome(s.jane.Login(s.ctx, chat.M{"Email": "jane@example.org"}))
	},
	"Contacts": func(s *stall) error { return outcome(s.jane.Contacts(s.ctx)) },
	"ContactByUserID": func(s *stall) error {
		return outcome(s.jane.ContactByUserID(s.ctx, s.bob.User().UserID))
	},
	"Conversations": func(s *stall) error { return outcome(s.jane.Conversations(s.ctx)) },
	"Conversation":  func(s *stall) error { return outcome(s.jane.Conversation(s.ctx, s.conv.ID)) },
	"Create": func(s *stall) error {
		return outcome(s.jane.Create(s.ctx, chat.NewConversation{Participants: []int64{s.w.stranger()}}))
	},
	"Create, of people who have one": func(s *stall) error {
		return outcome(s.jane.Create(s.ctx, chat.NewConversation{Participants: []int64{s.w.ids["bob"], s.w.ids["eve"]}}))
	},
	"JoinConversation": func(s *stall) error { return outcome(s.jane.JoinConversation(s.ctx, s.code)) },
	"Channels.Create":  func(s *stall) error { return outcome(s.jane.Channels().Create(s.ctx, "new")) },
	"Channels.List":    func(s *stall) error { return outcome(s.jane.Channels().List(s.ctx)) },
	"Channels.Join":    func(s *stall) error { return outcome(s.jane.Channels().Join(s.ctx, s.channel.ID)) },
	"Message": func(s *stall) error {
		return outcome(s.jane.Message(s.ctx, s.conv.ID, chat.Draft{Body: "x"}))
	},
	"Message, with a file to upload": func(s *stall) error {
		return outcome(s.jane.Message(s.ctx, s.conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}}))
	},
	"Message, with a GUID": func(s *stall) error {
		return outcome(s.jane.Message(s.ctx, s.conv.ID, chat.Draft{Body: "x", GUID: time.Now().String()}))
	},
	"UpdateMessage": func(s *stall) error {
		return outcome(s.jane.UpdateMessage(s.ctx, s.conv.ID, s.own.ID, chat.M{"n": time.Now().Unix()}))
	},
	"DeleteMessage": func(s *stall) error { return s.jane.DeleteMessage(s.ctx, s.conv.ID, s.own.ID) },
	"Messages":      func(s *stall) error { return outcome(s.jane.Messages(s.ctx)) },
	"Messages, In": func(s *stall) error {
		return outcome(s.jane.Messages(s.ctx, chat.In(s.conv.ID)))
	},
	"Conversation.Messages.Fetch": func(s *stall) error { return outcome(s.conv.Messages().Fetch(s.ctx)) },
	"Conversation.Messages.Get":   func(s *stall) error { return outcome(s.conv.Messages().Get(s.ctx, s.m.ID)) },
	"Unread.Get":                  func(s *stall) error { return outcome(s.jane.Unread().Get(s.ctx)) },
	"Unread.Count":                func(s *stall) error { return outcome(s.jane.Unread().Count(s.ctx)) },
	"MarkMessagesAsRead": func(s *stall) error {
		return s.jane.MarkMessagesAsRead(s.ctx, s.m)
	},
	"MarkMessagesAsRead, in a group": func(s *stall) error {
		return s.jane.MarkMessagesAsRead(s.ctx, s.m)
	},
	"History": func(s *stall) error {
		for _, err := range s.jane.History(s.ctx, s.conv.ID) {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"Conversation.InviteCode":         func(s *stall) error { return outcome(s.conv.InviteCode(s.ctx)) },
	"Conversation.Participants.Fetch": func(s *stall) error { return outcome(s.conv.Participants().Fetch(s.ctx)) },
	"Conversation.Participants.Add":   func(s *stall) error { return s.conv.Participants().Add(s.ctx, s.w.stranger()) },
	"Conversation.Participants.Remove": func(s *stall) error {
		return s.conv.Participants().Remove(s.ctx, s.guest)
	},
	"Conversation.Mute": func(s *stall) error {
		if s.conv.IsMuted() {
			return s.conv.Notifications().Unmute(s.ctx)
		}
		return s.conv.Notifications().Mute(s.ctx)
	},
	"Poll":              func(s *stall) error { return s.jane.Poll(s.ctx) },
	"Outbox.Len":        func(s *stall) error { s.jane.Outbox().Len(); return nil },
	"Health":            func(s *stall) error { s.jane.Health(); return nil },
	"Contacts, Offline": func(s *stall) error { return outcome(s.jane.Contacts(s.ctx, chat.Offline())) },
	"Conversations, Offline": func(s *stall) error {
		return outcome(s.jane.Conversations(s.ctx, chat.Offline()))
	},
	"Logout": func(s *stall) error { return s.jane.Logout(s.ctx) },
}

// ownTap counts the requests of calls, by the value of their context, and all others.
type ownTap struct {
	next        http.RoundTripper
	own, others atomic.Int64
}

type ownCall struct{}

func (c *ownTap) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(ownCall{}) != nil {
		c.own.Add(1)
	} else {
		c.others.Add(1)
	}
	return c.next.RoundTrip(r)
}

// stranger is the id of a new contact who has an flUserId.
func (w *world) stranger() int64 {
	at := strconv.Itoa(len(w.Rows(w.contacts)))
	return w.AddRows(w.contacts, map[string]any{"Email": at + "@example.org", "flUserId": "user " + at})[0]
}

// prepare makes what the next call needs.
func (s *stall) prepare(t *testing.T) {
	t.Helper()
	s.m = s.w.say(s.bob, s.conv, "hello")
	s.own = &chat.Message{ID: s.w.AddRows(s.conv.ID, map[string]any{"body": "x", "fromUserId": "user"})[0], ConversationID: s.conv.ID}
	if s.grows {
		s.guest = s.w.stranger()
		require.NoError(t, s.shared.Participants().Add(t.Context(), s.guest))
	}
	var err error
	s.channel, err = s.bob.Channels().Create(t.Context(), "a channel")
	require.NoError(t, err)
	other, err := s.bob.Create(t.Context(), chat.NewConversation{Participants: []int64{s.w.stranger()}, AllowInvite: true})
	require.NoError(t, err)
	s.code, err = other.InviteCode(t.Context())
	require.NoError(t, err)
}

func TestCallsMakeTheRequestsThatTheTableNames(t *testing.T) {
	t.Parallel()
	table := theCosts(t)
	for name, call := range counted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := costs{}
				at := func(streaming bool) {
					w := newWorld(t, fliplettest.InProcess())
					tap := &ownTap{next: w.Transport()}
					s := &stall{ctx: context.WithValue(t.Context(), ownCall{}, true), w: w, bob: w.login("bob"), grows: strings.HasSuffix(name, "Remove") || strings.HasSuffix(name, "group")}
					_, err := w.login("jane").Conversations(t.Context())
					require.NoError(t, err)
					w.login("eve")
					w.converse(s.bob, "jane", "eve")
					made, err := s.bob.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["jane"]}, AllowInvite: true})
					require.NoError(t, err)
					// An hour between polls: what is counted is because of the call.
					rare := func(o *chat.Options) {
						o.LivePollInterval, o.PollInterval, o.MaxPollInterval = time.Hour, time.Hour, time.Hour
						o.Client = w.over(tap)
					}
					s.jane, s.conv, s.shared = w.login("jane", rare), made, made
					if strings.HasPrefix(name, "Conversation.") {
						s.conv, err = s.jane.Conversation(t.Context(), made.ID)
						require.NoError(t, err)
					}
					if streaming {
						stream(t, s.jane)
						time.Sleep(time.Minute)
					}
					s.prepare(t)
					if streaming {
						require.NoError(t, s.jane.Poll(t.Context()))
						time.Sleep(time.Minute)
					}
					count := func() int {
						before := tap.own.Load()
						require.NoError(t, call(s), name)
						return int(tap.own.Load() - before)
					}
					if streaming {
						before := tap.others.Load()
						count()
						time.Sleep(time.Minute)
						got.stream = int(tap.others.Load() - before)
						return
					}
					got.first = count()
					s.prepare(t)
					time.Sleep(time.Minute)
					if name == "Logout" {
						return
					}
					got.later = count()
				}
				at(false)
				at(true)
				want, ok := table[name]
				assert.True(t, ok, "the table has no row for %s: %v", name, got)
				assert.Equal(t, want, got, name)
			})
		})
	}
	for name := range table {
		assert.Contains(t, counted, name, "nothing counts this row")
	}
}

func TestWhatAnAppKeepsIsLookedForThereOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		app, master int64
		// requests of the first and second Create, of listing channels, and of listing
		// conversations
		first, second, channels, conversations int
	}{
		{1, 0, 4, 4, 1, 1},
		{1, 2, 4, 4, 1, 2},
		{0, 0, 5, 4, 1, 1},
	} {
		w := newWorld(t, fliplettest.WithApps(1, 2))
		jane := w.login("jane", func(o *chat.Options) { o.AppID, o.MasterAppID = test.app, test.master })
		count := func(want int, call func() error) {
			t.Helper()
			before := len(w.Requests())
			require.NoError(t, call())
			assert.Equal(t, want, len(w.Requests())-before, "%+v", test)
		}
		for _, want := range []int{test.first, test.second} {
			to := chat.NewConversation{Participants: []int64{w.stranger()}}
			count(want, func() error { return outcome(jane.Create(t.Context(), to)) })
		}
		_, err := jane.Channels().Create(t.Context(), "a channel")
		require.NoError(t, err)
		count(test.channels, func() error { return outcome(jane.Channels().List(t.Context())) })
		count(test.conversations, func() error { return outcome(jane.Conversations(t.Context())) })
		list, err := jane.Channels().List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
	}
}

// The ids of participants are stored in one request, however many lack one.
func TestParticipantsWithoutAnIDCostOneRequestTogether(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key    string // Options.PrimaryKey
		app    bool   // whether there is an Options.AppID
		create int
	}{
		{"", true, 4}, {"", false, 5}, {"Email", true, 5}, {"Email", false, 6},
	} {
		for _, n := range []int{1, 2, 30} {
			w := newWorld(t)
			jane := w.login("jane", func(o *chat.Options) {
				o.PrimaryKey = test.key
				if !test.app {
					o.AppID = 0
				}
			})
			people := func() (ids []int64) {
				for i := range n {
					ids = append(ids, w.AddRows(w.contacts, map[string]any{"Email": fmt.Sprint(len(w.Rows(w.contacts)), i)})[0])
				}
				return ids
			}
			before := len(w.Requests())
			first := people()
			conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: first})
			require.NoError(t, err)
			assert.Equal(t, test.create, len(w.Requests())-before, "%+v, %d", test, n)
			assert.True(t, conv.IsNew)
			stored := map[string]bool{jane.User().UserID: true}
			for _, row := range w.Rows(w.contacts) {
				if slices.Contains(first, row.ID) {
					id, _ := row.Data["flUserId"].(string)
					require.NotEmpty(t, id, "%+v", row.Data)
					require.NotEmpty(t, row.Data["Email"], "the other columns stay")
					stored[id] = true
				}
			}
			require.Len(t, stored, n+1)
			for _, id := range conv.Participants().IDs() {
				assert.True(t, stored[id])
			}
			again, err := jane.Create(t.Context(), chat.NewConversation{Participants: first})
			require.NoError(t, err)
			assert.Equal(t, conv.ID, again.ID)

			more := people()
			before = len(w.Requests())
			require.NoError(t, conv.Participants().Add(t.Context(), more...))
			assert.Equal(t, 6, len(w.Requests())-before, "Add, %+v, %d", test, n)
		}
	}
}

// Whoever takes the ids of contacts away leaves their conversations.
func TestAConversationIsFoundAgainWhenIDsAreMissing(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "Email"} {
		w := newWorld(t)
		jane := w.login("jane", func(o *chat.Options) { o.PrimaryKey = key })
		bob := w.ids["bob"]
		conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{bob}})
		require.NoError(t, err)
		_, err = w.Client().Update(t.Context(), w.contacts, bob, map[string]any{"flUserId": nil})
		require.NoError(t, err)
		again, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{bob}})
		require.NoError(t, err)
		assert.Equal(t, conv.ID, again.ID, key)
		assert.False(t, again.IsNew)
	}
}
