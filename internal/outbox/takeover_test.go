package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// leftover is the store of a process that was killed with messages waiting.
func leftover(t *testing.T, srv *server, exclusive bool) *counted {
	t.Helper()
	store := newStore()
	store.exclusive = exclusive
	srv.failing(errOutage, false)
	victim := srv.box(store, func(c *outbox.Config) { c.Process = "victim" })
	queue(t, victim, 7, names(20)...)
	time.Sleep(time.Minute)
	killed := store.killed(t)
	end(t, victim)
	srv.failing(nil, false)
	srv.forget()
	return killed
}

func TestOnAnExclusiveStoreTheNextProcessGoesOnAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		store := leftover(t, srv, true)
		began := time.Now()
		b := srv.box(store)
		require.NoError(t, b.Start(t.Context()))
		queue(t, b, 7, "new")
		require.NoError(t, b.Flush(t.Context()))
		assert.LessOrEqual(t, srv.firstAfter(began), 2*time.Second)
		t.Logf("the first request came %v after the start", srv.firstAfter(began))
		assert.Equal(t, append(names(20), "new"), srv.list(7))
		end(t, b)
		assert.Empty(t, store.left(t))
	})
}

func TestOnASharedStoreTheNextProcessWaitsForTheClaimToRunOut(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		store := leftover(t, srv, false)
		began := time.Now()
		b := srv.box(store)
		queue(t, b, 7, "new")
		require.NoError(t, b.Flush(t.Context()))
		assert.GreaterOrEqual(t, srv.firstAfter(began), 25*time.Second)
		assert.LessOrEqual(t, srv.firstAfter(began), 28*time.Second)
		assert.LessOrEqual(t, time.Since(began), 29*time.Second, "what was sent is visible by then")
		gets, _, _, swaps := store.calls()
		assert.Less(t, gets+swaps, 150, "it looks now and then")
		assert.Equal(t, append(names(20), "new"), srv.list(7))
		end(t, b)
		assert.Empty(t, store.left(t))
	})
}

// testdata/version1.json was written by the code before claims had a package of
// their own: by a process that closed, and by one that was killed.
func TestWhatVersion1LeftBehindIsSent(t *testing.T) {
	raw, err := os.ReadFile("testdata/version1.json")
	require.NoError(t, err)
	var dumps map[string]map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &dumps))
	for _, tt := range []struct {
		dump      string
		exclusive bool
		after     time.Duration // since the claim was last renewed
		atLeast   time.Duration
		atMost    time.Duration
	}{
		{"closed", false, 0, 0, 0},
		{"closed", true, 0, 0, 0},
		{"killed", false, 0, 30 * time.Second, 33 * time.Second},
		{"killed", false, 11 * time.Minute, 30 * time.Second, 33 * time.Second}, // no two clocks need to agree
		{"killed", true, 0, 0, 0},
	} {
		t.Run(fmt.Sprintf("%s, exclusive %v, after %v", tt.dump, tt.exclusive, tt.after), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := newStore()
				store.exclusive = tt.exclusive
				require.Len(t, dumps[tt.dump], 20)
				for k, v := range dumps[tt.dump] {
					require.NoError(t, store.Set(t.Context(), k, v))
				}
				time.Sleep(tt.after)
				srv := newServer()
				b := srv.box(store, func(c *outbox.Config) { c.Key = "outbox" })
				began := time.Now()
				queue(t, b, 102, "new")
				require.NoError(t, b.Flush(t.Context()))
				waited := srv.firstAfter(began)
				assert.GreaterOrEqual(t, waited, tt.atLeast)
				assert.LessOrEqual(t, waited, tt.atMost)
				want := map[int64][]string{}
				for i, guid := range names(20) {
					if guid != "m08" { // it was discarded
						conversation := int64(102 + i%2)
						want[conversation] = append(want[conversation], guid)
					}
				}
				want[102] = append(want[102], "new")
				assert.Equal(t, want, srv.rows)
				end(t, b)
				assert.Empty(t, store.left(t))
			})
		})
	}
}

// Whatever its clock says: here it is the same, or 11 minutes behind.
func TestALiveProcessOfVersion1IsNotWaitedForNorRobbed(t *testing.T) {
	for _, until := range []string{"2000-01-01T00:10:00Z", "1999-12-31T23:49:00Z"} {
		t.Run(until, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := newStore()
				registry := func(beat int) []byte {
					return fmt.Appendf(nil, `{"version":1,"lanes":[{"id":"old","owner":"o","beat":%d,"until":%q,"first":0,"next":16}]}`, beat, until)
				}
				require.NoError(t, store.Set(t.Context(), key, registry(1)))
				raw, err := json.Marshal(message(t, 7, "theirs"))
				require.NoError(t, err)
				require.NoError(t, store.Set(t.Context(), key+"/old/3", raw))
				srv := newServer()
				b := srv.box(store)
				require.NoError(t, b.Start(t.Context()))
				time.Sleep(10 * time.Second)
				assert.Empty(t, srv.list(7))
				require.NoError(t, store.Set(t.Context(), key, registry(2))) // it renews its claim
				time.Sleep(3 * time.Second)
				queue(t, b, 7, "ours")
				require.NoError(t, b.Flush(t.Context()))
				assert.Equal(t, []string{"ours"}, srv.list(7))
				end(t, b)
				assert.Contains(t, store.left(t), key+"/old/3")
			})
		})
	}
}

func TestARegistryOfALaterVersionIsAnError(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newStore()
		require.NoError(t, store.Set(t.Context(), key, []byte(`{"version":3}`)))
		b := newServer().box(store)
		_, err := b.Add(t.Context(), message(t, 7, "a"), false)
		require.ErrorContains(t, err, "cannot be read")
		end(t, b)
		raw, err := store.Store.Get(t.Context(), key)
		require.NoError(t, err)
		assert.JSONEq(t, `{"version":3}`, string(raw))
	})
}

// victimEnv makes this program a process that accepts messages it cannot send,
// until it is killed. Its value is the directory it works in.
const victimEnv = "CHAT_OUTBOX_VICTIM"

func runVictim(dir string) {
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	store, err := boltstore.Open(filepath.Join(dir, "chat.db"))
	check(err)
	b := outbox.New(outbox.Config{
		Store: store, Key: key,
		Insert: func(context.Context, outbox.Record) (*datasource.Entry, error) { return nil, errOutage },
		LookUp: func(context.Context, outbox.Record) (*datasource.Entry, error) { return nil, errOutage },
	})
	for _, guid := range names(20) {
		rec, err := outbox.NewRecord(7, datasource.Write{Data: datasource.M{"guid": guid}})
		check(err)
		_, err = b.Add(context.Background(), rec, false)
		check(err)
	}
	fmt.Println("ready")
	select {}
}

// With CHAT_LONG set, a process is killed for real. Its file is the store.
func TestAfterAKillTheNextProcessGoesOnAtOnceOnAFile(t *testing.T) {
	if os.Getenv("CHAT_LONG") == "" {
		t.Skip("kills a process; set CHAT_LONG")
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ready := make([]byte, 5)
	_, err = out.Read(ready)
	require.NoError(t, err)
	require.Equal(t, "ready", string(ready))
	require.NoError(t, cmd.Process.Kill())
	var exit *exec.ExitError
	require.True(t, errors.As(cmd.Wait(), &exit))

	// The file is real; the time in which somebody might wait is not.
	synctest.Test(t, func(t *testing.T) {
		store, err := boltstore.Open(filepath.Join(dir, "chat.db"))
		require.NoError(t, err)
		defer store.Close()
		srv := newServer()
		b := srv.box(store, func(c *outbox.Config) { c.Settle = 10 * time.Millisecond })
		began := time.Now()
		require.NoError(t, b.Flush(t.Context()))
		t.Logf("the first request came %v after the start", srv.firstAfter(began))
		assert.Less(t, srv.firstAfter(began), 2*time.Second)
		assert.Equal(t, names(20), srv.list(7))
		end(t, b)
	})
}
