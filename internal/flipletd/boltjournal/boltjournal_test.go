package boltjournal_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/boltjournal"
)

func open(t *testing.T, path string) *boltjournal.Journal {
	t.Helper()
	j, err := boltjournal.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, j.Close()) })
	return j
}

// contents is what a journal holds, or how reading it fails.
func contents(j *boltjournal.Journal) (map[string]string, error) {
	all := map[string]string{}
	err := j.Load(func(r flipletd.Record) error {
		all[fmt.Sprint(r.Kind, " ", r.ID)] = string(r.Value)
		return nil
	})
	return all, err
}

func TestRecordsAreKeptReplacedAndDeleted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fliplet.db")
	j := open(t, path)
	require.NoError(t, j.Apply([]flipletd.Record{
		{Kind: "entry", ID: 1, Value: []byte("one")}, {Kind: "entry", ID: 1 << 40, Value: []byte("big")},
		{Kind: "source", ID: 1, Value: []byte("another one")}, {Kind: "entry", ID: 2, Value: []byte{}},
	}))
	require.NoError(t, j.Apply([]flipletd.Record{
		{Kind: "entry", ID: 1, Value: []byte("changed")}, {Kind: "entry", ID: 1 << 40}, {Kind: "entry", ID: 3}, {Kind: "none", ID: 3},
	}))
	require.NoError(t, j.Close())
	again := open(t, path)
	got, err := contents(again)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"entry 1": "changed", "source 1": "another one", "entry 2": ""}, got)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds tokens")
}

func TestApplyKeepsAllOrNothing(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "fliplet.db"))
	require.NoError(t, j.Apply([]flipletd.Record{{Kind: "entry", ID: 1, Value: []byte("one")}}))
	require.Error(t, j.Apply([]flipletd.Record{
		{Kind: "entry", ID: 1, Value: []byte("changed")}, {Kind: "entry", ID: 2, Value: []byte("two")}, {Kind: "", ID: 3, Value: []byte("refused")},
	}))
	got, err := contents(j)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"entry 1": "one"}, got)
}

func TestLoadPassesErrorsOn(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "fliplet.db"))
	require.NoError(t, j.Apply([]flipletd.Record{{Kind: "strange", ID: 1, Value: []byte("{}")}}))
	_, err := flipletd.New(flipletd.Config{Journal: j})
	require.ErrorContains(t, err, "stored strange 1: a newer version of this program wrote it")
}

func TestAFileInUseIsLocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, fileInUse)
}

func fileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fliplet.db")
	open(t, path)
	_, err := boltjournal.Open(path)
	require.ErrorIs(t, err, boltjournal.ErrLocked)
	assert.ErrorContains(t, err, path)
}

func TestFilesThatAreNoJournalAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"text": strings.Repeat("a diary\n", 5000), "short": "x", "zeros": strings.Repeat("\x00", 1<<16),
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := boltjournal.Open(path)
		require.ErrorIs(t, err, boltjournal.ErrDamaged, name)
		assert.ErrorContains(t, err, path)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, string(left), name)
	}
	other := filepath.Join(dir, "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("values"))
		return err
	}))
	require.NoError(t, db.Close())
	_, err = boltjournal.Open(other)
	require.ErrorIs(t, err, boltjournal.ErrDamaged)
	for _, path := range []string{"", dir, filepath.Join(dir, "none", "fliplet.db")} {
		_, err := boltjournal.Open(path)
		require.Error(t, err, path)
		require.NotErrorIs(t, err, boltjournal.ErrDamaged)
	}
}

// TestDamageIsNoticed flips bits and cuts the end off. bbolt keeps the root of the
// last transaction and of the one before; when the newer is spoilt the older
// counts, so each state that was once stored is a right answer.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "fliplet.db")
	j := open(t, path)
	states := []map[string]string{{}}
	for i := range 20 {
		batch := []flipletd.Record{
			{Kind: "entry", ID: int64(i), Value: fmt.Appendf(nil, "%0900d", i)}, {Kind: "source", ID: 1, Value: fmt.Append(nil, i)},
		}
		require.NoError(t, j.Apply(batch))
		now := maps.Clone(states[i])
		for _, r := range batch {
			now[fmt.Sprint(r.Kind, " ", r.ID)] = string(r.Value)
		}
		states = append(states, now)
	}
	require.NoError(t, j.Close())
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	noticed := 0
	check := func(what string, spoilt []byte) {
		path := filepath.Join(dir, what)
		require.NoError(t, os.WriteFile(path, spoilt, 0o600))
		j, err := boltjournal.Open(path)
		if err != nil {
			noticed++
			return
		}
		defer j.Close()
		got, err := contents(j)
		if err != nil {
			noticed++
			assert.ErrorIs(t, err, boltjournal.ErrDamaged)
			return
		}
		assert.Contains(t, states[len(states)-2:], got, what)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		spoilt := append([]byte{}, good...)
		at, bit := rng.IntN(len(good)), rng.IntN(8)
		spoilt[at] ^= 1 << bit
		check(fmt.Sprintf("bit %d of byte %d of file %d", bit, at, i), spoilt)
	}
	for i := range 20 {
		at := rng.IntN(len(good))
		check(fmt.Sprintf("file %d cut at %d", i, at), good[:at])
	}
	assert.Greater(t, noticed, 20)
}
