package chat_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// history stores n bodies of every readable kind and returns the texts by row.
func history(t testing.TB, w *world, conv *chat.Conversation, old *chat.Cipher, n int) map[int64]string {
	t.Helper()
	rows := make([]datasource.M, n)
	texts := make([]string, n)
	for i := range rows {
		guid := fmt.Sprintf("g-%d", i)
		texts[i] = fmt.Sprintf("message %d 👋", i)
		body := texts[i]
		var err error
		switch i % 4 {
		case 1:
			body, err = envelope.SealPassphrase(body, conv.EncryptionKey())
		case 2:
			body, err = chat.Seal(old, conv.ID, guid, "somebody", body)
		case 3: // a text that looks like ciphertext survives, too
			texts[i] = "flsealed:1:x:" + texts[i]
			body, err = envelope.SealPassphrase(texts[i], conv.EncryptionKey())
		}
		require.NoError(t, err)
		rows[i] = datasource.M{"body": body, "guid": guid, "fromUserId": "somebody", "readBy": []string{"somebody"}, "n": i}
	}
	_, err := w.Client().Append(t.Context(), conv.ID, rows)
	require.NoError(t, err)
	out := map[int64]string{}
	for i, r := range w.Rows(conv.ID) {
		out[r.ID] = texts[i]
	}
	return out
}

// requireMoved holds every stored body to one encryption with the key id.
func requireMoved(t testing.TB, w *world, conversationID int64, c *chat.Cipher, keyID string, want map[int64]string) {
	t.Helper()
	for _, r := range w.Rows(conversationID) {
		body, _ := r.Data["body"].(string)
		id, ok := envelope.KeyID(body)
		require.True(t, ok, "message %d is not authenticated", r.ID)
		require.Equal(t, keyID, id)
		guid, _ := r.Data["guid"].(string)
		from, _ := r.Data["fromUserId"].(string)
		text, err := chat.Open(c, conversationID, guid, from, body)
		require.NoError(t, err)
		if expected, ok := want[r.ID]; ok {
			require.Equal(t, expected, text, "message %d: neither lost nor encrypted twice", r.ID)
		}
	}
}

func TestReencryptMovesEveryReadableBodyAndLeavesTheRestOfTheRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "new", 2), newKey(t, "old", 1))
	old := newCipher(t, newKey(t, "old", 1))
	jane := w.login("jane", sealing(cipher))
	conv := w.converse(jane, "bob")
	want := history(t, w, conv, old, 450) // more than two pages
	before := w.Rows(conv.ID)
	var steps []chat.Reencryption
	got, err := jane.Reencrypt(t.Context(), conv.ID, func(r chat.Reencryption) { steps = append(steps, r) })
	require.NoError(t, err)
	assert.Equal(t, 450, got.Moved)
	assert.Equal(t, 900, got.Seen)
	assert.Equal(t, 2, got.Pass)
	assert.Zero(t, got.Unreadable)
	requireMoved(t, w, conv.ID, cipher, "new", want)
	for i := 1; i < len(steps); i++ {
		assert.GreaterOrEqual(t, steps[i].Moved, steps[i-1].Moved)
	}
	assert.GreaterOrEqual(t, len(steps), 450)
	for i, r := range w.Rows(conv.ID) {
		for _, column := range []string{"guid", "readBy", "n", "fromUserId"} {
			assert.Equal(t, before[i].Data[column], r.Data[column])
		}
		assert.Equal(t, before[i].CreatedAt, r.CreatedAt)
	}

	writes := w.Count(fliplettest.AnyWrite)
	again, err := jane.Reencrypt(t.Context(), conv.ID, nil)
	require.NoError(t, err)
	assert.Zero(t, again.Moved)
	assert.Equal(t, writes, w.Count(fliplettest.AnyWrite), "nothing is written twice")
}

func TestReencryptLeavesWhatItCannotReadAndPlainTextItMayNotTrust(t *testing.T) {
	t.Parallel()
	m := newMixture(t)
	strict := m.w.login("bob", sealing(m.cipher), func(o *chat.Options) { o.MinProtection = chat.Authenticated })
	got, err := strict.Reencrypt(t.Context(), m.conv.ID, nil)
	require.NoError(t, err)
	assert.Zero(t, got.Moved, "nothing that was not authenticated becomes so")
	c := m.w.login("bob", sealing(m.cipher))
	before := m.w.Rows(m.conv.ID)
	got, err = c.Reencrypt(t.Context(), m.conv.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, 3, got.Moved, "plain, salted, and plain like a header")
	assert.Equal(t, 10, got.Unreadable)
	for i, r := range m.w.Rows(m.conv.ID) {
		if m.want[i].err != nil {
			assert.Equal(t, before[i].Data["body"], r.Data["body"], m.want[i].name)
		}
	}
	for i, msg := range messages(t, c, m.conv.ID) {
		assert.Equal(t, m.want[i].err == nil, msg.Err == nil, m.want[i].name)
	}
}

func TestReencryptToThePassphraseFormatEncryptsPlainTextOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	said := w.say(jane, conv, "salted")
	salted := stored(t, w, conv.ID, said.ID)
	plain := put(t, w, conv.ID, "plain")
	put(t, w, conv.ID, "")
	got, err := jane.Reencrypt(t.Context(), conv.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, got.Moved)
	assert.Equal(t, salted, stored(t, w, conv.ID, said.ID))
	assert.True(t, envelope.LooksPassphrase(stored(t, w, conv.ID, plain)))
	assert.Equal(t, []string{"salted", "plain", ""}, bodies(messages(t, jane, conv.ID)))
}

func TestReencryptRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	_, err := w.connect().Reencrypt(t.Context(), 0, nil)
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = w.connect(func(o *chat.Options) { o.EncryptMessages = false }).Reencrypt(t.Context(), 5, nil)
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = w.connect().Reencrypt(t.Context(), 987654, nil)
	require.ErrorIs(t, err, chat.ErrNotFound)
	closed := w.connect()
	require.NoError(t, closed.Close())
	_, err = closed.Reencrypt(t.Context(), 5, nil)
	require.ErrorIs(t, err, chat.ErrClosed)
}

func TestReencryptNeverOverwritesAnEditOfTheSameMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	sent := w.say(jane, conv, "before")
	gone := w.say(jane, conv, "deleted meanwhile")
	// Between the page that is read and the first write, somebody else is faster.
	meddler := &meddler{next: w.Transport(), before: "/data/query", skip: 1, do: func() {
		_, err := jane.UpdateMessage(t.Context(), conv.ID, sent.ID, chat.M{"body": "after"})
		assert.NoError(t, err)
		assert.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, gone.ID))
	}}
	mover := w.login("jane", sealing(cipher), through(t, w, meddler))
	meddler.armed.Store(true)
	got, err := mover.Reencrypt(t.Context(), conv.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, got.Moved)
	assert.Equal(t, []string{"after"}, bodies(messages(t, mover, conv.ID)))
	assert.True(t, envelope.LooksAuthenticated(stored(t, w, conv.ID, sent.ID)))
}

// meddler does something once, right before a request.
type meddler struct {
	next   http.RoundTripper
	armed  atomic.Bool
	before string // the end of the request's path
	skip   int
	do     func()
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.armed.Load() && len(r.URL.Path) > len(m.before) && r.URL.Path[len(r.URL.Path)-len(m.before):] == m.before {
		if m.skip--; m.skip < 0 {
			m.armed.Store(false)
			m.do()
		}
	}
	return m.next.RoundTrip(r)
}

// through sends a Chat's requests through a transport.
func through(t testing.TB, w *world, rt http.RoundTripper) func(*chat.Options) {
	t.Helper()
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: rt},
		Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(t, err)
	return func(o *chat.Options) { o.Client = client }
}

// assassin ends a context at a request: before it is sent, or after the server
// acted on it, so that the answer is lost.
type assassin struct {
	next   http.RoundTripper
	left   atomic.Int64
	after  bool
	strike context.CancelFunc
}

func (a *assassin) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.left.Add(-1) != 0 {
		return a.next.RoundTrip(r)
	}
	if a.after {
		if resp, err := a.next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context()))); err == nil {
			_ = resp.Body.Close()
		}
	}
	a.strike()
	return nil, context.Canceled
}

func TestReencryptKilledAtFiftyPointsResumesAndEncryptsNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	old := newCipher(t, newKey(t, "old", 1))
	setup := w.login("jane")
	conv := w.converse(setup, "bob")
	want := history(t, w, conv, old, 500)
	store := storage.NewMemory()
	rng := rand.New(rand.NewPCG(3, 5))
	kills := 0
	for done := false; !done; {
		// A new process each time: nothing but Storage survives.
		ctx, cancel := context.WithCancel(t.Context())
		killer := &assassin{next: w.Transport(), after: rng.IntN(2) == 0, strike: cancel}
		cipher := newCipher(t, newKey(t, "new", 2), newKey(t, "old", 1))
		c := w.connect(sealing(cipher), through(t, w, killer), func(o *chat.Options) { o.Storage = store })
		if kills < 50 {
			killer.left.Store(1 + rng.Int64N(13))
		}
		_, err := c.Reencrypt(ctx, conv.ID, nil)
		done = err == nil
		if !done {
			require.ErrorIs(t, err, context.Canceled)
			kills++
		}
		cancel()
		require.NoError(t, c.Close())
	}
	assert.Equal(t, 50, kills)
	requireMoved(t, w, conv.ID, newCipher(t, newKey(t, "new", 2)), "new", want)
}

func TestReencryptSurvivesLostAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "new", 2), newKey(t, "old", 1))
	jane := w.login("jane", sealing(cipher))
	conv := w.converse(jane, "bob")
	want := history(t, w, conv, newCipher(t, newKey(t, "old", 1)), 60)
	w.Sometimes(0.3, fliplettest.Query, fliplettest.LoseAnswer())
	for {
		_, err := jane.Reencrypt(t.Context(), conv.ID, nil)
		if err == nil {
			break
		}
		require.False(t, errors.Is(err, chat.ErrInvalid), "%v", err)
	}
	requireMoved(t, w, conv.ID, cipher, "new", want)
}

func TestReencryptResumesWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "new", 2), newKey(t, "old", 1))
	store := storage.NewMemory()
	jane := w.login("jane", sealing(cipher), func(o *chat.Options) { o.Storage = store })
	conv := w.converse(jane, "bob")
	history(t, w, conv, newCipher(t, newKey(t, "old", 1)), 450)
	ctx, cancel := context.WithCancel(t.Context())
	got, err := jane.Reencrypt(ctx, conv.ID, func(r chat.Reencryption) {
		if r.Seen == 430 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 431, got.Seen, "the write under way is finished")
	got, err = jane.Reencrypt(t.Context(), conv.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, 50+450, got.Seen, "the first two pages are done, the rest and the proof are left")
}

func TestRotationOverThreeKeysWhileTenPeopleWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	const writers, rounds = 10, 12
	ciphers := make([]*chat.Cipher, writers)
	chats := make([]*chat.Chat, writers)
	for i := range writers {
		ciphers[i] = newCipher(t, newKey(t, "k0", 0))
		chats[i] = w.login(people[i%2], sealing(ciphers[i]))
	}
	conv := w.converse(chats[0], "bob")
	readerCipher := newCipher(t, newKey(t, "k0", 0))
	reader := w.login("bob", sealing(readerCipher))
	toBob := stream(t, reader)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent atomic.Int64
	for i, c := range chats {
		wg.Go(func() {
			for n := 0; ; n++ {
				m, err := c.Message(context.Background(), conv.ID, chat.Draft{Body: fmt.Sprintf("%d/%d", i, n)})
				if assert.NoError(t, err) && n%3 == 0 {
					_, err = c.UpdateMessage(context.Background(), conv.ID, m.ID, chat.M{"body": m.Body + " edited"})
					assert.NoError(t, err)
				}
				sent.Add(1)
				select {
				case <-stop:
					if n >= rounds {
						return
					}
				default:
				}
				if n >= 5*rounds {
					return
				}
			}
		})
	}
	everybody := append([]*chat.Cipher{readerCipher}, ciphers...)
	for step, id := range []string{"k1", "k2", "k3"} {
		// First every program can read the new key, then they begin to write with it,
		// one after another, and then the history follows.
		for _, c := range everybody {
			require.NoError(t, c.Add(newKey(t, id, byte(step+1))))
		}
		for _, c := range everybody {
			require.NoError(t, c.Promote(id))
		}
		_, err := reader.Reencrypt(t.Context(), conv.ID, nil)
		require.NoError(t, err)
	}
	close(stop)
	wg.Wait()
	_, err := reader.Reencrypt(t.Context(), conv.ID, nil)
	require.NoError(t, err)
	// What the stream has read before that may still be sealed with an old key.
	require.NoError(t, reader.Poll(t.Context()))
	for _, c := range everybody {
		for _, id := range []string{"k0", "k1", "k2"} {
			require.NoError(t, c.Remove(id))
		}
	}
	requireMoved(t, w, conv.ID, readerCipher, "k3", nil)
	require.NoError(t, reader.Poll(t.Context()))
	seen := map[int64]bool{}
	for _, m := range toBob.all() {
		require.NoError(t, m.Err, "message %d", m.ID)
		seen[m.ID] = true
	}
	assert.Len(t, seen, int(sent.Load()), "0 unreadable, 0 missing")
	assert.Len(t, w.Rows(conv.ID), int(sent.Load()))
}
