package roster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

var errNotFound = errors.New("not found")

// server has definitions, and counts what is asked.
type server struct {
	*roster.Roster
	known roster.Known
	seen  sync.Map

	mu           sync.Mutex
	members      map[int64][]string
	elsewhere    map[int64]bool // conversations that the list does not have
	fail         map[int64]error
	listErr      error
	takes        time.Duration // a read
	reads, lists int
}

func definition(members []string) wire.Definition {
	raw, _ := json.Marshal(map[string]any{"participants": members})
	return wire.ParseDefinition(raw)
}

// seen notes what was read.
type seen struct{ *sync.Map }

func (n seen) Put(id int64, _ wire.Definition) { n.Store(id, true) }

func newServer() *server {
	s := &server{
		members: map[int64][]string{}, elsewhere: map[int64]bool{}, fail: map[int64]error{},
	}
	s.known.Seen = seen{&s.seen}
	s.Roster = roster.New(roster.Config{UserID: "me", Known: &s.known, Reader: s, NotFound: errNotFound, Log: slog.New(slog.DiscardHandler)})
	return s
}

func (s *server) Read(_ context.Context, id int64) (wire.Definition, error) {
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if err := s.fail[id]; err != nil {
		return wire.Definition{}, err
	}
	members, ok := s.members[id]
	if !ok {
		return wire.Definition{}, errNotFound
	}
	d := definition(members)
	s.known.Put(id, d)
	return d, nil
}

func (s *server) List(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	done := s.known.Listing("me")
	if s.listErr != nil {
		return s.listErr
	}
	list := map[int64]wire.Definition{}
	for id, members := range s.members {
		if d := definition(members); d.Has("me") && !s.elsewhere[id] {
			list[id] = d
		}
	}
	done(list)
	return nil
}

type class struct{}

func (s *server) Class(ctx context.Context) uint8 {
	of, _ := ctx.Value(class{}).(uint8)
	return of
}

// asked returns how often the server was asked since.
func (s *server) asked() [2]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.lists, s.reads = 0, 0 }()
	return [2]int{s.lists, s.reads}
}

func TestMembershipIsReadOnceAndRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.members[1], s.members[2], s.members[3] = []string{"you", "me"}, []string{"me"}, []string{"you"}
		require.NoError(t, s.Check(t.Context()))
		require.NoError(t, s.Check(t.Context(), 1))
		require.NoError(t, s.Check(t.Context(), 1))
		assert.Equal(t, [2]int{0, 1}, s.asked())
		foreign, err := s.Foreign(t.Context(), []int64{1, 2, 3, 4})
		require.NoError(t, err)
		assert.Equal(t, map[int64]bool{3: true, 4: true}, foreign)
		assert.Equal(t, [2]int{1, 2}, s.asked(), "the list, and those that it does not have")
		for _, id := range []int64{3, 4} {
			require.ErrorIs(t, s.Check(t.Context(), 1, id, 2), errNotFound)
		}
		require.ErrorContains(t, s.Check(t.Context(), 3), "conversation 3: the user is not a member")
		time.Sleep(4 * time.Second)
		_, err = s.Foreign(t.Context(), []int64{1, 2, 3, 4})
		require.NoError(t, err)
		assert.Equal(t, [2]int{}, s.asked())
		_, ok := s.seen.Load(int64(2))
		assert.True(t, ok)
	})
}

func TestWhoAsksMeanwhileGetsTheSameReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.takes = time.Second
		failed := errors.New("cannot be read")
		s.members[1], s.members[2], s.fail[3] = []string{"me"}, []string{"you"}, failed
		var all sync.WaitGroup
		for i := range 60 {
			id := int64(1 + i%3)
			all.Go(func() {
				assert.ErrorIs(t, s.Check(t.Context(), id), map[int64]error{2: errNotFound, 3: failed}[id])
			})
		}
		all.Wait()
		assert.Equal(t, [2]int{0, 3}, s.asked(), "once for each conversation")
		require.ErrorIs(t, s.Check(t.Context(), 3), failed)
		assert.Equal(t, [2]int{0, 1}, s.asked(), "what failed is tried again")
		for i := range 20 {
			all.Go(func() {
				assert.ErrorIs(t, s.Check(context.WithValue(t.Context(), class{}, uint8(i%2)), 3), failed)
			})
		}
		all.Wait()
		assert.Equal(t, [2]int{0, 2}, s.asked(), "who hurries does not wait for who does not")
	})
}

func TestADenialIsBelievedForLongerWhileRowsKeepComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.members[3] = []string{"you"}
		for range 24 * 60 * 60 / 2 { // a day of polls
			foreign, err := s.Foreign(t.Context(), []int64{3})
			require.NoError(t, err)
			require.True(t, foreign[3])
			time.Sleep(2 * time.Second)
		}
		assert.InDelta(t, 24*60/5, s.asked()[1], 10)
		s.members[3] = []string{"you", "me"}
		time.Sleep(5 * time.Second)
		require.NoError(t, s.Check(t.Context(), 3), "a caller gets a fresh answer sooner")
		foreign, err := s.Foreign(t.Context(), []int64{3})
		require.NoError(t, err)
		assert.Empty(t, foreign)
	})
}

func TestWhatIsNoConversationIsNeverAskedAboutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.fail[9] = fmt.Errorf("data source 9 is %w: %w", roster.ErrNoConversation, errNotFound)
		for range 100 {
			require.ErrorIs(t, s.Check(t.Context(), 9), roster.ErrNoConversation)
			foreign, err := s.Foreign(t.Context(), []int64{9})
			require.NoError(t, err)
			require.True(t, foreign[9])
			time.Sleep(time.Hour)
		}
		assert.Equal(t, [2]int{0, 1}, s.asked())
	})
}

func TestWhoIsNotListedAnyMoreIsAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.members[1], s.members[2] = []string{"me"}, []string{"me"}
		s.elsewhere[2] = true // in another app, or the list is behind
		require.NoError(t, s.Check(t.Context(), 1))
		require.NoError(t, s.Check(t.Context(), 2))
		s.members[1] = []string{"you"}
		require.NoError(t, s.Check(t.Context(), 1), "as read last")
		require.NoError(t, s.List(t.Context()))
		require.ErrorIs(t, s.Check(t.Context(), 1), errNotFound)
		require.NoError(t, s.Check(t.Context(), 2))
	})
}

// nowhere has no conversation.
type nowhere struct{}

func (nowhere) Class(context.Context) uint8 { return 0 }
func (nowhere) List(context.Context) error  { return nil }
func (nowhere) Read(context.Context, int64) (wire.Definition, error) {
	return wire.Definition{}, errNotFound
}

func TestAListDoesNotUndoWhatWasReadAfterItBegan(t *testing.T) {
	t.Parallel()
	k := roster.Known{}
	r := roster.New(roster.Config{
		UserID: "me", Known: &k, NotFound: errNotFound, Log: slog.New(slog.DiscardHandler),
		Reader: nowhere{},
	})
	k.Put(1, definition([]string{"me"}))
	done := k.Listing("me")
	k.Put(1, definition([]string{"you"})) // left meanwhile
	k.Put(2, definition([]string{"me"}))  // joined meanwhile
	done(map[int64]wire.Definition{1: definition([]string{"me"})})
	require.ErrorIs(t, r.Check(t.Context(), 1), errNotFound)
	require.NoError(t, r.Check(t.Context(), 2))
	assert.Equal(t, 2, k.Len())
	k.Clear()
	assert.Zero(t, k.Len())
}

func TestOneConversationThatCannotBeReadHidesItselfOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		broken := errors.New("broken")
		s.members[1] = []string{"me"}
		s.fail[7] = broken
		foreign, err := s.Foreign(t.Context(), []int64{1, 7})
		require.NoError(t, err)
		assert.Equal(t, map[int64]bool{7: true}, foreign)
		require.ErrorIs(t, s.Check(t.Context(), 7), broken, "which a caller is told")

		s.listErr = broken
		_, err = s.Foreign(t.Context(), []int64{5, 6})
		require.ErrorIs(t, err, broken)
		require.ErrorIs(t, s.Check(t.Context(), 5, 6), broken)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = s.Foreign(ctx, []int64{8})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestAPageOfManyUnknownConversationsCostsFewRequests(t *testing.T) {
	t.Parallel()
	s := newServer()
	for page := range int64(50) {
		var ids []int64
		for i := range int64(200) {
			ids = append(ids, 1+page*200+i)
		}
		foreign, err := s.Foreign(t.Context(), ids)
		require.NoError(t, err)
		require.Len(t, foreign, 200)
		assert.Equal(t, [2]int{1, 20}, s.asked())
	}
}

func TestAChangeThatIsOverwrittenIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored, writes := definition([]string{"you"}), 0
		change := roster.Change{
			Conversation: 1, Read: func(context.Context) (wire.Definition, error) { return stored, nil },
			Write: func(_ context.Context, d wire.Definition) (wire.Definition, error) {
				if writes++; writes > 2 {
					stored = d // before, somebody else writes after us
				}
				return d, nil
			},
			Edit: func(d wire.Definition) bool { return d.Add("me") }, Kept: func(d wire.Definition) bool { return d.Has("me") },
		}
		def, err := change.Make(t.Context())
		require.NoError(t, err)
		assert.True(t, def.Has("me"))
		assert.Equal(t, 3, writes)
		_, err = change.Make(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3, writes, "nothing to change")
		stored, writes = definition(nil), -100
		_, err = change.Make(t.Context())
		require.ErrorContains(t, err, "kept overwriting")
	})
}
