package bodies_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

var place = envelope.Binding{ConversationID: 7, GUID: "g", Sender: "u"}

const passphrase = "0123456789abcdef0123456789abcdef"

// with returns what reads and writes with a protection, and refuses less than least.
func with(t testing.TB, writes, least bodies.Protection) *bodies.Bodies {
	t.Helper()
	aead, err := envelope.NewAEAD("k", []byte(passphrase))
	require.NoError(t, err)
	return &bodies.Bodies{
		Least: least, Writer: writes,
		Sealed: aead.Seal,
		Unsealed: func(stored string, at envelope.Binding) (string, error) {
			text, err := aead.Open(stored, at)
			if err != nil {
				return "", bodies.ErrTampered
			}
			return text, nil
		},
		Own: atHand{keys(func(context.Context, int64) (string, error) { return passphrase, nil }), true},
	}
}

// keys are the caller's.
type keys func(ctx context.Context, conversation int64) (string, error)

func (k keys) Key(ctx context.Context, id int64) (string, error) { return k(ctx, id) }

// atHand are keys in definitions, which are known or not.
type atHand struct {
	keys
	known bool
}

func (a atHand) KeyToWrite(ctx context.Context, id int64) (string, error) { return a.Key(ctx, id) }

func (a atHand) AtHand(id int64) (string, bool) {
	if !a.known {
		return "", false
	}
	key, err := a.Key(context.Background(), id)
	return key, err == nil
}

func seal(t testing.TB, p bodies.Protection, at envelope.Binding, text string) string {
	t.Helper()
	s, err := with(t, p, bodies.Plain).Seal(t.Context(), at, text)
	require.NoError(t, err)
	return s
}

func TestEveryValueHasAProtection(t *testing.T) {
	t.Parallel()
	elsewhere := envelope.Binding{ConversationID: 7, GUID: "g", Sender: "other"}
	for name, c := range map[string]struct {
		stored any
		text   string
		had    bodies.Protection
		err    error
	}{
		"nothing":           {nil, "", bodies.Plain, nil},
		"empty":             {"", "", bodies.Plain, nil},
		"text":              {"good morning", "good morning", bodies.Plain, nil},
		"a number":          {7, "7", bodies.Plain, nil},
		"a flag":            {false, "false", bodies.Plain, nil},
		"a list":            {[]any{"good morning"}, "", bodies.Plain, nil},
		"an object":         {wire.M{"a": 1}, "", bodies.Plain, nil},
		"passphrase":        {seal(t, bodies.Encrypted, place, "good morning"), "good morning", bodies.Encrypted, nil},
		"sealed":            {seal(t, bodies.Authenticated, place, "good morning"), "good morning", bodies.Authenticated, nil},
		"sealed elsewhere":  {seal(t, bodies.Authenticated, elsewhere, "good morning"), "", bodies.Plain, bodies.ErrTampered},
		"damaged":           {"U2FsdGVkX1 typed", "", bodies.Plain, bodies.ErrMalformed},
		"sealed, in a list": {[]any{seal(t, bodies.Authenticated, place, "good morning")}, "", bodies.Plain, nil},
	} {
		for _, least := range []bodies.Protection{bodies.Plain, bodies.Encrypted, bodies.Authenticated} {
			text, had, err := with(t, bodies.Authenticated, least).Open(t.Context(), place, c.stored)
			switch {
			case c.stored == nil || c.stored == "":
				require.NoError(t, err, name)
				assert.Empty(t, text)
			case c.err != nil && (name != "damaged" || least < bodies.Authenticated):
				require.ErrorIs(t, err, c.err, name)
				assert.Equal(t, c.stored, text, "%s: as stored", name)
				assert.Equal(t, bodies.Plain, had)
			case c.had < least:
				require.ErrorIs(t, err, bodies.ErrUnprotected, name)
				require.ErrorIs(t, err, bodies.ErrUnreadable, name)
				assert.NotContains(t, text, "good morning", name)
			default:
				require.NoError(t, err, name)
				assert.Equal(t, c.text, text, name)
				assert.Equal(t, c.had, had, name)
			}
		}
	}
}

func TestGenuineIsWhatOpensUnderTheOwnProtection(t *testing.T) {
	t.Parallel()
	plain, salted, sealed := "hi", seal(t, bodies.Encrypted, place, "hi"), seal(t, bodies.Authenticated, place, "hi")
	other, err := envelope.SealPassphrase("hi", "another")
	require.NoError(t, err)
	for writes, genuine := range map[bodies.Protection][]any{
		bodies.Plain:         {plain, salted, sealed, other, nil, []any{"hi"}},
		bodies.Encrypted:     {salted, sealed},
		bodies.Authenticated: {sealed},
	} {
		b := with(t, writes, bodies.Plain)
		for _, stored := range []any{plain, salted, sealed, other, nil, "", []any{"hi"}, 7} {
			want := writes == bodies.Plain || assert.ObjectsAreEqual(true, contains(genuine, stored))
			assert.Equal(t, want, b.Genuine(t.Context(), place, stored), "%v writes, %v", writes, stored)
		}
		assert.Equal(t, writes == bodies.Plain, b.Genuine(t.Context(), envelope.Binding{ConversationID: 7, GUID: "g", Sender: "x"}, sealed))
	}
	b := with(t, bodies.Encrypted, bodies.Plain)
	b.Own = atHand{}
	assert.False(t, b.Genuine(t.Context(), place, salted), "nobody knows yet")
}

// The form of a body proves nothing: with the caller's Keys it has to open, too.
func TestTheCallersKeysAreAskedOnceToTellWhatIsGenuine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := with(t, bodies.Encrypted, bodies.Plain)
		var asked atomic.Int32
		var gone atomic.Bool
		gone.Store(true)
		b.Own, b.Keys = nil, keys(func(ctx context.Context, _ int64) (string, error) {
			asked.Add(1)
			if gone.Load() {
				<-ctx.Done() // they take too long
				return "", errors.New("gone")
			}
			return passphrase, nil
		})
		began := time.Now()
		salted, forged := seal(t, bodies.Encrypted, place, "hi"), "U2FsdGVkX1forged"
		for range 2 {
			assert.False(t, b.Genuine(t.Context(), place, salted), "nobody knows")
		}
		assert.EqualValues(t, 1, asked.Load(), "not for every row of a page")
		gone.Store(false)
		assert.Less(t, time.Since(began), time.Second, "nor for long")
		time.Sleep(6 * time.Second)
		for range 2 {
			assert.True(t, b.Genuine(t.Context(), place, salted))
			assert.False(t, b.Genuine(t.Context(), place, forged))
			assert.False(t, b.Genuine(t.Context(), place, "plain"))
		}
		assert.EqualValues(t, 2, asked.Load())
		b.Forget()
		_, _, err := b.Open(t.Context(), place, salted)
		require.NoError(t, err)
		gone.Store(true)
		assert.True(t, b.Genuine(t.Context(), place, salted), "a message was opened with it")
		assert.EqualValues(t, 3, asked.Load())
	})
}

func contains(list []any, v any) bool {
	for _, e := range list {
		if assert.ObjectsAreEqual(e, v) {
			return true
		}
	}
	return false
}

func TestTheSameBodyIsOneUnderTheOwnProtection(t *testing.T) {
	t.Parallel()
	sealed := seal(t, bodies.Authenticated, place, "hi")
	for _, c := range []struct {
		writes        bodies.Protection
		found, sealed any
		same          bool
	}{
		{bodies.Plain, "hi", "hi", true}, {bodies.Plain, "ho", "hi", false}, {bodies.Plain, 7, "7", true}, {bodies.Plain, nil, "", true},
		{bodies.Plain, []any{"hi"}, "hi", false}, {bodies.Plain, []any{}, "", false}, {bodies.Plain, "", "hi", false}, {bodies.Plain, "hi", "", false},
		{bodies.Authenticated, sealed, sealed, true}, {bodies.Authenticated, seal(t, bodies.Authenticated, place, "hi"), sealed, true},
		{bodies.Authenticated, "hi", sealed, false}, {bodies.Authenticated, seal(t, bodies.Encrypted, place, "hi"), sealed, false},
		{bodies.Encrypted, seal(t, bodies.Encrypted, place, "hi"), seal(t, bodies.Encrypted, place, "hi"), true},
		{bodies.Encrypted, sealed, seal(t, bodies.Encrypted, place, "hi"), true},
		{bodies.Encrypted, "hi", seal(t, bodies.Encrypted, place, "hi"), false},
	} {
		same, proven := with(t, c.writes, bodies.Plain).Same(t.Context(), place, c.found, c.sealed, nil)
		assert.Equal(t, c.same, same, "%+v", c)
		text, _ := c.found.(string)
		assert.Equal(t, same && c.writes > bodies.Plain && (text == c.sealed || envelope.LooksAuthenticated(text)), proven, "%+v", c)
	}
	_, proven := with(t, bodies.Authenticated, bodies.Plain).Same(t.Context(), place, "", "", nil)
	assert.False(t, proven, "nothing is sealed")
	like := func(got, want string) bool { return got == "ho" && want == "hi" }
	same, proven := with(t, bodies.Encrypted, bodies.Plain).Same(t.Context(), place, seal(t, bodies.Encrypted, place, "ho"), seal(t, bodies.Encrypted, place, "hi"), like)
	assert.True(t, same)
	assert.False(t, proven, "others have the key")
}

// What becomes of rows that hold the same body, in the order in which they are read.
func TestOneRowOfABodyCounts(t *testing.T) {
	t.Parallel()
	none := envelope.Binding{ConversationID: 7, Sender: "u"}
	type read struct {
		at      envelope.Binding
		sealed  string
		row     int64
		deleted bool
		counts  bool
	}
	genuine := func(row int64, counts bool) read { return read{place, "x", row, false, counts} }
	other := read{envelope.Binding{ConversationID: 7, GUID: "h", Sender: "u"}, "y", 0, false, true}
	in := func(row int64) read { o := other; o.row = row; return o }
	plain := func(row int64) read { return read{row: row} }
	for name, reads := range map[string][]read{
		"again, an edit, another listener":       {genuine(5, true), genuine(5, true), {place, "edited", 5, false, true}},
		"a copy":                                 {genuine(5, true), genuine(9, false), genuine(5, true), genuine(9, false)},
		"the original is read later":             {genuine(9, true), genuine(5, true), genuine(9, false), genuine(5, true)},
		"three":                                  {genuine(9, true), genuine(5, true), genuine(7, false), genuine(3, true), genuine(5, false)},
		"of another sender":                      {genuine(5, true), {envelope.Binding{ConversationID: 7, GUID: "g", Sender: "v"}, "x", 6, false, true}},
		"not stored yet":                         {genuine(5, true), genuine(0, true)},
		"an older row that was plain":            {plain(3), genuine(5, true), genuine(3, false), genuine(3, false), genuine(5, true)},
		"an older row that was another message":  {in(3), genuine(5, true), genuine(3, false), genuine(3, false), in(3), genuine(3, false)},
		"an older row, and back":                 {genuine(3, true), genuine(5, false), in(3), genuine(5, true), genuine(3, false)},
		"an older row, and emptied":              {genuine(3, true), genuine(5, false), plain(3), genuine(5, true), genuine(3, false)},
		"a deleted copy takes no place":          {{place, "x", 3, true, true}, genuine(5, true), {place, "x", 3, true, false}, genuine(5, true)},
		"of a message that was deleted":          {genuine(5, true), {place, "x", 5, true, true}, genuine(9, false)},
		"without a guid":                         {{none, "x", 5, false, true}, {none, "x", 9, false, false}, {none, "z", 9, false, true}},
		"without a guid, the original later":     {{none, "x", 9, false, true}, {none, "x", 5, false, true}, {none, "x", 9, false, false}},
		"without a guid, what an edit has left":  {{none, "x", 5, false, true}, {none, "z", 5, false, true}, {none, "x", 9, false, false}},
		"without a guid, two of one text":        {{none, "x", 5, false, true}, {none, "z", 9, false, true}},
		"without a guid, the older row is empty": {{none, "x", 3, false, true}, {none, "x", 5, false, false}, plain(3), {none, "x", 5, false, true}},
	} {
		b := with(t, bodies.Authenticated, bodies.Plain)
		for i, r := range reads {
			if r.sealed == "" {
				b.Holds(r.row, envelope.Binding{}, false)
				continue
			}
			err := b.Copy(r.at, r.sealed, r.row, r.deleted)
			if assert.Equal(t, r.counts, err == nil, "%s, read %d", name, i); err != nil {
				require.ErrorIs(t, err, bodies.ErrTampered)
				require.ErrorIs(t, err, bodies.ErrUnreadable)
			}
		}
		b.Forget()
		require.NoError(t, b.Copy(place, "x", 99, false), name)
	}
}

// A page is looked at before its messages are made.
func TestAPlaceIsGivenUpAsSoonAsItsRowIsReadWithSomethingElse(t *testing.T) {
	t.Parallel()
	for _, elsewhere := range []bool{true, false} {
		b := with(t, bodies.Authenticated, bodies.Plain)
		require.NoError(t, b.Copy(place, "x", 3, false))
		require.Error(t, b.Copy(place, "x", 5, false))
		b.Holds(3, place, true)
		require.Error(t, b.Copy(place, "x", 5, false))
		b.Holds(3, envelope.Binding{ConversationID: 7, GUID: "h"}, elsewhere)
		require.NoError(t, b.Copy(place, "x", 5, false))
	}
}

func TestWhatIsRememberedOfCopiesIsBounded(t *testing.T) {
	t.Parallel()
	b := with(t, bodies.Authenticated, bodies.Plain)
	for i := range int64(20_000) { // and the latest stay
		at := envelope.Binding{ConversationID: 8, GUID: strings.Repeat("x", int(i%7)+1), Sender: string(rune('a' + i))}
		require.NoError(t, b.Copy(at, "x", 2*i+1, false))
		require.Error(t, b.Copy(at, "x", 2*i+2, false))
		b.Holds(-2*i, at, false)
		b.Holds(1_000_000+i, at, false)
	}
	places, read := b.Remembered()
	assert.LessOrEqual(t, places, 2*4096)
	assert.LessOrEqual(t, read, 2*4096)
}

func TestAKeyThatCannotBeReadFailsOneBody(t *testing.T) {
	t.Parallel()
	b := with(t, bodies.Encrypted, bodies.Plain)
	salted := seal(t, bodies.Encrypted, place, "hi")
	gone := errors.New("gone")
	for key, want := range map[string]error{"": nil, "x": gone} {
		b.Own = atHand{keys: func(context.Context, int64) (string, error) { return key, want }}
		text, had, err := b.Open(t.Context(), place, salted)
		require.ErrorIs(t, err, bodies.ErrKeyUnavailable)
		assert.Equal(t, salted, text)
		assert.Equal(t, bodies.Plain, had)
		_, err = b.Seal(t.Context(), place, "hi")
		require.ErrorIs(t, err, bodies.ErrKeyUnavailable)
	}
	// What everybody can compute is no protection.
	b.Own = atHand{keys: func(_ context.Context, id int64) (string, error) { return wire.FallbackBodyKey(id), nil }}
	computed, err := b.Seal(t.Context(), place, "hi")
	require.NoError(t, err)
	text, had, err := b.Open(t.Context(), place, computed)
	require.NoError(t, err)
	assert.Equal(t, "hi", text)
	assert.Equal(t, bodies.Plain, had)
	b.Least = bodies.Encrypted
	_, _, err = b.Open(t.Context(), place, computed)
	require.ErrorIs(t, err, bodies.ErrKeyUnavailable)
	_, err = b.Seal(t.Context(), place, "hi")
	require.ErrorIs(t, err, bodies.ErrKeyUnavailable)
}

func TestColumnsThatLookLikeTheBodyAreWithheld(t *testing.T) {
	t.Parallel()
	columns := wire.M{"body": 1, "Body": 1, " BODY\t": 1, "data.body": 1, "body[]": 1, "bodyguard": 1, "data": 1}
	bodies.Withhold(columns)
	assert.Equal(t, wire.M{"body": 1, "bodyguard": 1, "data": 1}, columns)
}
