package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// copied is a copy of an archive.
func copied(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	other := file(t)
	require.NoError(t, os.WriteFile(other, raw, 0o600))
	return other
}

func sealOf(t *testing.T, path string) string {
	t.Helper()
	a, err := archive.Open(t.Context(), path)
	require.NoError(t, err)
	defer a.Close()
	seal, err := a.Seal(t.Context())
	require.NoError(t, err)
	return seal
}

func TestNothingInAnArchiveIsOutsideOfItsHashes(t *testing.T) {
	w := newWorld(t)
	w.talk("Talk", 20)
	w.story()
	path := file(t)
	w.export(path)
	require.Empty(t, verify(t, path).Damage)
	seal := sealOf(t, path)
	for name, c := range map[string]struct {
		statement string
		sealed    bool // the seal is another one, too
		records   bool // an export does not read them again
	}{
		"the address":         {`UPDATE meta SET value = replace(value, 'http', 'htto') WHERE name = 'api'`, true, false},
		"the contacts":        {`UPDATE meta SET value = value + 1 WHERE name = 'contacts'`, true, false},
		"the primary key":     {`UPDATE meta SET value = 'Emaim' WHERE name = 'primaryKey'`, true, false},
		"whose it is":         {`UPDATE meta SET value = value || 'x' WHERE name = 'userId'`, true, false},
		"how far files are":   {`UPDATE meta SET value = 99999 WHERE name = 'filesDone'`, false, false},
		"one row of meta":     {`DELETE FROM meta WHERE name = 'userId'`, true, false},
		"all of meta":         {`DELETE FROM meta`, true, false},
		"another row of meta": {`INSERT INTO meta VALUES ('more', '')`, false, false},
		"the position":        {`UPDATE fliplet_chat_values SET value = CAST(replace(CAST(value AS TEXT), '1', '2') AS BLOB)`, false, false},
		"no position":         {`DELETE FROM fliplet_chat_values`, false, false},
		"the format":          {`PRAGMA user_version = 1`, true, false},
		"a trigger":           {`CREATE TRIGGER fliplet_chat_t AFTER INSERT ON records BEGIN DELETE FROM heads; END`, false, false},
		"a table":             {`CREATE TABLE more (id INTEGER)`, false, false},
		"an index":            {`DROP INDEX records_gaps`, false, false},
		"a view":              {`CREATE VIEW sqlite AS SELECT 1`, false, false},
		"a record's number":   {`UPDATE records SET seq = seq + 7 WHERE seq = (SELECT max(seq) FROM records)`, false, true},
		"a file of nobody's":  {`INSERT INTO blobs VALUES ('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 0, x'')`, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			changed := copied(t, path)
			execute(t, changed, c.statement)
			found := verify(t, changed)
			assert.NotEmpty(t, found.Damage)
			if c.sealed {
				assert.NotEqual(t, seal, found.Seal)
			}
			if c.records {
				return
			}
			_, err := archive.Export(t.Context(), w.options(changed))
			var usage *archive.UsageError
			require.ErrorAs(t, err, &usage)
			a, err := archive.Open(t.Context(), changed)
			require.NoError(t, err)
			defer a.Close()
			require.ErrorAs(t, a.Sound(t.Context()), &usage)
		})
	}
}

func TestEachByteOfWhatIsInNoChainIsNoticed(t *testing.T) {
	w := newWorld(t)
	w.talk("Talk", 20)
	path := file(t)
	w.export(path)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	damaged := file(t)
	for _, text := range []string{"api" + w.server.URL, "primaryKeyEmail", "userId" + w.people[0], fmt.Sprint("contacts", w.contacts)} {
		seen := 0
		for start := range places(raw, text) {
			for _, at := range []int{0, len(text) / 2, len(text) - 1} {
				flip(t, raw, damaged, start+at, 1)
				if a, err := archive.Open(t.Context(), damaged); err == nil {
					found, err := a.Verify(t.Context())
					require.NoError(t, err)
					require.NoError(t, a.Close())
					if len(found.Damage) == 0 {
						continue // a page that nobody reads any more
					}
				}
				seen++
			}
		}
		assert.Positive(t, seen, text)
	}
}

func TestAnArchiveOfTheFirstFormatIsReadAndBroughtUpToDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.talk("Talk", 20)
	w.story()
	path := file(t)
	now := w.export(path)
	execute(t, path, `DELETE FROM meta WHERE name = 'sum'`)
	execute(t, path, `PRAGMA user_version = 1`)
	a := w.open(path)
	assert.EqualValues(t, 1, a.Format)
	require.NoError(t, a.Sound(t.Context()))
	assert.Empty(t, verify(t, path).Damage)
	first := sealOf(t, path)
	r := w.export(path)
	assert.Zero(t, r.Written)
	assert.Equal(t, now.Seal, r.Seal)
	assert.NotEqual(t, first, r.Seal, "the source is in it")
	assert.EqualValues(t, archive.Version, w.open(path).Format)
	assert.Empty(t, verify(t, path).Damage)
}

func TestTwoExportsBegunAtOnceIntoANewFileEndWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.talk("Talk", 30)
	for range 3 {
		path := file(t)
		var both, ready sync.WaitGroup
		ready.Add(2)
		var errs [2]error
		for i := range errs {
			both.Go(func() {
				o := w.options(path)
				connect, once := o.Connect, sync.OnceFunc(ready.Done)
				o.Connect = func(ctx context.Context, store storage.Store) (*chat.Chat, error) {
					c, err := connect(ctx, store)
					once()
					ready.Wait()
					return c, err
				}
				_, errs[i] = archive.Export(t.Context(), o)
			})
		}
		both.Wait()
		for _, err := range errs {
			var usage *archive.UsageError
			if errors.As(err, &usage) {
				require.Contains(t, err.Error(), "in use by another export")
				continue
			}
			require.NoError(t, err)
		}
		require.Empty(t, verify(t, path).Damage)
	}
}

func TestVerifySaysOfALongMessageOnlyWhatItHasTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.talk("Talk", 1)
	for size, want := range map[int]string{
		300:   "in more than one byte",
		3500:  "in more than one bit; where was not looked for",
		50000: "it was changed; where was not looked for",
	} {
		w.server.AddRows(id, datasource.M{"body": fmt.Sprint(size, strings.Repeat("x", size)), "fromUserId": w.people[0]})
		path := file(t)
		w.export(path)
		execute(t, path, fmt.Sprintf(`UPDATE records SET body = replace(body, '%dxxxxxxxxxx', '%dxxyyxxxxxx')`, size, size))
		found := verify(t, path)
		require.Len(t, found.Damage, 1)
		assert.Contains(t, found.Damage[0].What, want, size)
	}
}
