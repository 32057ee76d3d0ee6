package receive_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestASearchForDeletionsBeginsWhereWhatWasToldIsKnownAndNoSearchIsLeftUnfinished(t *testing.T) {
	t.Parallel()
	told := &receive.Told{Store: storage.NewMemory(), Key: "k"}
	begin := func(now, earliest feed.Time) feed.Time {
		since, err := told.Begin(t.Context(), now, earliest)
		require.NoError(t, err)
		return since
	}
	assert.Equal(t, feed.Time(100), begin(100, 20), "nothing was noted before")
	require.NoError(t, told.End(t.Context(), 0))
	assert.Equal(t, feed.Time(100), begin(300, 50))
	require.NoError(t, told.End(t.Context(), 0))
	assert.Equal(t, feed.Time(200), begin(400, 200))
	assert.Equal(t, feed.Time(200), begin(500, 300), "the search before has not ended")
	require.NoError(t, told.End(t.Context(), 0))
	assert.Equal(t, feed.Time(300), begin(500, 300))
	require.NoError(t, told.Store.Set(t.Context(), "k/deletions", []byte("damaged")))
	require.NoError(t, told.End(t.Context(), 0))
	assert.Equal(t, feed.Time(600), begin(600, 300))
}

func TestWhatWasToldLongAgoIsForgottenWhereKeysAreListed(t *testing.T) {
	t.Parallel()
	for name, lists := range map[string]bool{"with a list": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := storage.NewMemory()
			told := &receive.Told{Store: all, Key: "k"}
			if !lists {
				told.Store = struct{ storage.Store }{all}
			}
			for key, at := range map[string]string{"k/deleted/1": "100", "k/deleted/2": "300", "k/deleted/3": "?", "k/else": "1"} {
				require.NoError(t, all.Set(t.Context(), key, []byte(at)))
			}
			require.NoError(t, told.End(t.Context(), 200))
			for row, kept := range map[int64]bool{1: !lists, 2: true, 3: !lists, 4: false} {
				has, err := told.Has(t.Context(), row)
				require.NoError(t, err)
				assert.Equal(t, kept, has, "row %d", row)
			}
			_, err := all.Get(t.Context(), "k/else")
			require.NoError(t, err)
		})
	}
}
