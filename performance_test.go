package chat_test

import (
	"os"
	"strconv"
	"strings"
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

var counted = map[string]func(t *testing.T, s *stall) error{
	"Login": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Login(t.Context(), chat.M{"Email": "jane@example.org"}))
	},
	"Contacts": func(t *testing.T, s *stall) error { return outcome(s.jane.Contacts(t.Context())) },
	"ContactByUserID": func(t *testing.T, s *stall) error {
		return outcome(s.jane.ContactByUserID(t.Context(), s.bob.User().UserID))
	},
	"Conversations": func(t *testing.T, s *stall) error { return outcome(s.jane.Conversations(t.Context())) },
	"Conversation":  func(t *testing.T, s *stall) error { return outcome(s.jane.Conversation(t.Context(), s.conv.ID)) },
	"Create": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Create(t.Context(), chat.NewConversation{Participants: []int64{s.w.stranger()}}))
	},
	"Create, of people who have one": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Create(t.Context(), chat.NewConversation{Participants: []int64{s.w.ids["bob"], s.w.ids["eve"]}}))
	},
	"JoinConversation": func(t *testing.T, s *stall) error { return outcome(s.jane.JoinConversation(t.Context(), s.code)) },
	"Channels.Create":  func(t *testing.T, s *stall) error { return outcome(s.jane.Channels().Create(t.Context(), "new")) },
	"Channels.List":    func(t *testing.T, s *stall) error { return outcome(s.jane.Channels().List(t.Context())) },
	"Channels.Join":    func(t *testing.T, s *stall) error { return outcome(s.jane.Channels().Join(t.Context(), s.channel.ID)) },
	"Message": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Message(t.Context(), s.conv.ID, chat.Draft{Body: "x"}))
	},
	"Message, with a file to upload": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Message(t.Context(), s.conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}}))
	},
	"Message, with a GUID": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Message(t.Context(), s.conv.ID, chat.Draft{Body: "x", GUID: time.Now().String()}))
	},
	"UpdateMessage": func(t *testing.T, s *stall) error {
		return outcome(s.jane.UpdateMessage(t.Context(), s.conv.ID, s.own.ID, chat.M{"n": time.Now().Unix()}))
	},
	"DeleteMessage": func(t *testing.T, s *stall) error { return s.jane.DeleteMessage(t.Context(), s.conv.ID, s.own.ID) },
	"Messages":      func(t *testing.T, s *stall) error { return outcome(s.jane.Messages(t.Context())) },
	"Messages, In": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Messages(t.Context(), chat.In(s.conv.ID)))
	},
	"Conversation.Messages.Fetch": func(t *testing.T, s *stall) error { return outcome(s.conv.Messages().Fetch(t.Context())) },
	"Conversation.Messages.Get":   func(t *testing.T, s *stall) error { return outcome(s.conv.Messages().Get(t.Context(), s.m.ID)) },
	"Unread.Get":                  func(t *testing.T, s *stall) error { return outcome(s.jane.Unread().Get(t.Context())) },
	"Unread.Count":                func(t *testing.T, s *stall) error { return outcome(s.jane.Unread().Count(t.Context())) },
	"MarkMessagesAsRead": func(t *testing.T, s *stall) error {
		return s.jane.MarkMessagesAsRead(t.Context(), s.m)
	},
	"MarkMessagesAsRead, in a group": func(t *testing.T, s *stall) error {
		return s.jane.MarkMessagesAsRead(t.Context(), s.m)
	},
	"History": func(t *testing.T, s *stall) error {
		for _, err := range s.jane.History(t.Context(), s.conv.ID) {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"Conversation.InviteCode":         func(t *testing.T, s *stall) error { return outcome(s.conv.InviteCode(t.Context())) },
	"Conversation.Participants.Fetch": func(t *testing.T, s *stall) error { return outcome(s.conv.Participants().Fetch(t.Context())) },
	"Conversation.Participants.Add":   func(t *testing.T, s *stall) error { return s.conv.Participants().Add(t.Context(), s.w.stranger()) },
	"Conversation.Participants.Remove": func(t *testing.T, s *stall) error {
		return s.conv.Participants().Remove(t.Context(), s.guest)
	},
	"Conversation.Mute": func(t *testing.T, s *stall) error {
		if s.conv.IsMuted() {
			return s.conv.Notifications().Unmute(t.Context())
		}
		return s.conv.Notifications().Mute(t.Context())
	},
	"Poll":              func(t *testing.T, s *stall) error { return s.jane.Poll(t.Context()) },
	"Outbox.Len":        func(_ *testing.T, s *stall) error { s.jane.Outbox().Len(); return nil },
	"Health":            func(_ *testing.T, s *stall) error { s.jane.Health(); return nil },
	"Contacts, Offline": func(t *testing.T, s *stall) error { return outcome(s.jane.Contacts(t.Context(), chat.Offline())) },
	"Conversations, Offline": func(t *testing.T, s *stall) error {
		return outcome(s.jane.Conversations(t.Context(), chat.Offline()))
	},
	"Logout": func(t *testing.T, s *stall) error { return s.jane.Logout(t.Context()) },
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
					s := &stall{w: w, bob: w.login("bob"), grows: strings.HasSuffix(name, "Remove") || strings.HasSuffix(name, "group")}
					_, err := w.login("jane").Conversations(t.Context())
					require.NoError(t, err)
					w.login("eve")
					w.converse(s.bob, "jane", "eve")
					made, err := s.bob.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["jane"]}, AllowInvite: true})
					require.NoError(t, err)
					// An hour between polls: what is counted is because of the call.
					rare := func(o *chat.Options) {
						o.LivePollInterval, o.PollInterval, o.MaxPollInterval = time.Hour, time.Hour, time.Hour
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
						before := len(w.Requests())
						require.NoError(t, call(t, s), name)
						return len(w.Requests()) - before
					}
					if streaming {
						before := len(w.Requests())
						own := count()
						time.Sleep(time.Minute)
						got.stream = len(w.Requests()) - before - own
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
