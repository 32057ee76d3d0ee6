package unanswered_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/unanswered"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// stage is an app with conversations of a customer and an agent.
type stage struct {
	*fliplettest.Server
	app   *chat.App
	rooms []int64
}

func newStage(t *testing.T, rooms int) *stage {
	srv := fliplettest.New(t, fliplettest.InProcess())
	contacts, _ := srv.AddContacts(chat.M{"Email": "ann@x.com", "flUserId": "ann"}, chat.M{"Email": "kim@x.com", "flUserId": "kim"})
	s := &stage{Server: srv}
	for i := range rooms {
		s.rooms = append(s.rooms, srv.AddDataSource(chat.M{
			"name": fmt.Sprint("room ", i), "type": "conversation", "definition": chat.M{"participants": []string{"ann", "kim"}},
		}))
	}
	app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	s.app = app
	return s
}

func (s *stage) say(room int, who, text string) int64 {
	return s.AddRows(s.rooms[room], chat.M{"body": text, "fromUserId": who, "guid": fmt.Sprint(room, text)})[0]
}

func (s *stage) finder(source unanswered.Source) *unanswered.Finder {
	return &unanswered.Finder{Source: source, Answers: func(m *chat.Message) bool { return m.FromUserID == "kim" }}
}

// waiting is what waits, by conversation.
func waiting(t *testing.T, f *unanswered.Finder) map[int64]string {
	t.Helper()
	found := map[int64]string{}
	require.NoError(t, f.Each(t.Context(), func(w unanswered.Waiting) error {
		found[w.Conversation.ID] = w.Message.Body
		return nil
	}))
	return found
}

func TestTheOldestMessageSinceTheLastAnswerWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 6)
		said := [][]string{
			{}, {"ann hello"}, {"ann hello", "kim hi"}, {"ann hello", "kim hi", "ann how?", "ann please"}, {"kim news"}, {"ann gone"},
		}
		for room, lines := range said {
			for _, line := range lines {
				s.say(room, line[:3], line[4:])
				time.Sleep(time.Second)
			}
		}
		gone := s.say(3, "ann", "deleted")
		require.NoError(t, s.Client().Delete(t.Context(), s.rooms[3], gone))
		c, err := s.app.User(t.Context(), chat.M{"flUserId": "kim"})
		require.NoError(t, err)
		want := map[int64]string{s.rooms[1]: "hello", s.rooms[3]: "how?", s.rooms[5]: "gone"}
		assert.Equal(t, want, waiting(t, s.finder(s.app)))
		assert.Equal(t, want, waiting(t, s.finder(unanswered.Of(c))))
		f := s.finder(s.app)
		f.Only = func(conv *chat.Conversation) bool { return conv.ID == s.rooms[3] }
		assert.Equal(t, map[int64]string{s.rooms[3]: "how?"}, waiting(t, f))
	})
}

func TestWhatFailsHoldsUpNothingAndIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 3)
		for room := range s.rooms {
			s.say(room, "ann", "hello")
			time.Sleep(time.Second)
		}
		f := s.finder(s.app)
		s.Next(1, fliplettest.Query, fliplettest.Status(400)) // that of the latest
		busy := errors.New("busy")
		var called []int64
		err := f.Each(t.Context(), func(w unanswered.Waiting) error {
			if called = append(called, w.Conversation.ID); w.Conversation.ID == s.rooms[1] {
				return busy
			}
			return nil
		})
		require.ErrorIs(t, err, busy)
		require.ErrorContains(t, err, fmt.Sprintf("conversation %d: chat: history", s.rooms[2]))
		require.ErrorContains(t, err, fmt.Sprintf("conversation %d: busy", s.rooms[1]))
		assert.Equal(t, []int64{s.rooms[1], s.rooms[0]}, called, "the latest first")
		assert.Len(t, waiting(t, f), 3, "they are tried again")

		s.Next(1, fliplettest.ListSources, fliplettest.Status(400))
		never := func(unanswered.Waiting) error { t.Error("it was called"); return nil }
		require.ErrorContains(t, f.Each(t.Context(), never), "conversations")
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		err = f.Each(ctx, func(unanswered.Waiting) error { n++; cancel(); return nil })
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 1, n)
		for what, bad := range map[string]*unanswered.Finder{"Source": {Answers: f.Answers}, "Answers": {Source: s.app}} {
			err := bad.Each(t.Context(), never)
			require.ErrorIs(t, err, chat.ErrInvalid)
			require.ErrorContains(t, err, what)
		}
		require.ErrorIs(t, f.Each(t.Context(), nil), chat.ErrInvalid)
	})
}

func TestWhereNobodyWaitsNothingIsReadUntilSomethingHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 5)
		for room := range s.rooms {
			s.say(room, "kim", "hello")
		}
		f := s.finder(s.app)
		look := func() (requests int) {
			before := s.Count(fliplettest.AnyRoute)
			waiting(t, f)
			return s.Count(fliplettest.AnyRoute) - before
		}
		assert.Equal(t, 1+5, look())
		assert.Equal(t, 1+5, look(), "a machine may be behind with what was said just now")
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 1+5, look())
		assert.Equal(t, 1, look())
		s.say(2, "ann", "and?")
		time.Sleep(time.Minute)
		assert.Equal(t, 1+1, look())
		assert.Equal(t, 1+1, look(), "she waits")
		time.Sleep(time.Hour)
		assert.Equal(t, 1+5, look(), "once an hour in any case")
	})
}

// still is an app whose list shows no change.
type still struct {
	*chat.App
	at time.Time
}

func (s still) Conversations(ctx context.Context) ([]*chat.Conversation, error) {
	list, err := s.App.Conversations(ctx)
	for _, conv := range list {
		conv.UpdatedAt = s.at
	}
	return list, err
}

func TestAListWhoseTimesDoNotMoveHidesNobodyForLong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at     time.Time
		within time.Duration
	}{
		"they stand still":   {time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Hour},
		"there are no times": {time.Time{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, 1)
				s.say(0, "kim", "hello")
				f := s.finder(still{s.app, c.at})
				for range 3 {
					assert.Empty(t, waiting(t, f))
					time.Sleep(2 * time.Minute)
				}
				s.say(0, "ann", "and?")
				time.Sleep(c.within)
				assert.Equal(t, map[int64]string{s.rooms[0]: "and?"}, waiting(t, f))
			})
		})
	}
}
