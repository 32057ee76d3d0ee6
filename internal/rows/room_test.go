package rows_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// The engine keeps less than a row of most of them, and the room of their page is for the next
// one. Of one row that is none of those the page has to stay.
func TestARowOfAnAnswerIsMadeAgainAsItWasAlsoWhenTheRoomOfItsPageIsUsedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		columns datasource.M
		changes bool // it is changed later
		special bool
	}{
		"a message":                     {columns: datasource.M{"sentTime": "2026-02-01T08:00:00.000Z", "n": 5}},
		"one that was changed":          {changes: true},
		"with a file":                   {columns: datasource.M{"file": []string{"https://example.org/a"}}, special: true},
		"with a list of sealed files":   {columns: datasource.M{"flSealedFiles": "x"}, special: true},
		"with private media":            {columns: datasource.M{"hasMediaFileWithPrivateEncryptionKey": true}, special: true},
		"with a key":                    {columns: datasource.M{"_flSchema": datasource.M{"file": "key"}}, special: true},
		"that says that it was deleted": {columns: datasource.M{"isDeleted": true}, special: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			s := rows.New(b.cfg)
			const n = 5
			list := make([]datasource.M, n)
			for i := range list {
				list[i] = datasource.M{"body": "first", "guid": string(rune('a' + i)), "fromUserId": "u-bob", "readBy": []string{"u-bob"}}
			}
			for column, v := range c.columns {
				list[2][column] = v
			}
			b.AddRows(b.one, list...)
			if b.ShiftClock(time.Minute); c.changes {
				_, err := b.Client().Update(t.Context(), b.one, b.Rows(b.one)[2].ID, datasource.M{"body": "changed"})
				require.NoError(t, err)
			}
			first, err := s.Answer(t.Context(), feed.Query{Kind: feed.Created, Limit: 10})
			require.NoError(t, err)
			require.Len(t, first.Rows, n)
			kept, want := slices.Clone(first.Rows), slices.Clone(first.Shown)
			first.Room.Release()
			b.say(b.two, 0, 20)
			for range 3 {
				later, err := s.Answer(t.Context(), feed.Query{Kind: feed.Created, After: feed.Key{Time: kept[n-1].Created, ID: kept[n-1].ID}, Limit: 10})
				require.NoError(t, err)
				require.NotEmpty(t, later.Rows)
				later.Room.Release()
			}
			for i := range kept {
				got, ordinary := rows.Row(&kept[i])
				assert.Equal(t, want[i], got)
				assert.Equal(t, i != 2 || !c.special, ordinary)
			}
		})
	}
}

func TestTheRoomOfAPageIsThatOfTheNextOne(t *testing.T) {
	b := newBench(t)
	b.say(b.one, 0, 10)
	s := rows.New(b.cfg)
	seen := map[*datasource.Entry]bool{}
	for range 100 { // the collector may take it, and with -race a pool loses some
		a, err := s.Answer(t.Context(), feed.Query{Kind: feed.Created, Limit: 10})
		require.NoError(t, err)
		if page := &a.Shown[0]; seen[page] {
			return
		} else {
			seen[page] = true
		}
		a.Room.Release()
	}
	t.Error("each page had room of its own")
}
