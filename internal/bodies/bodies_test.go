package bodies_test

import (
	"context"
	"errors"
	"strings"
	"testing"

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
		Least: least, Writes: func() bodies.Protection { return writes },
		Sealed: aead.Seal,
		Unsealed: func(stored string, at envelope.Binding) (string, error) {
			text, err := aead.Open(stored, at)
			if err != nil {
				return "", bodies.ErrTampered
			}
			return text, nil
		},
		Passphrase: func(context.Context, int64) (string, error) { return passphrase, nil },
		AtHand:     func(int64) (string, bool) { return passphrase, true },
	}
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
		"text":              {"hi", "hi", bodies.Plain, nil},
		"a number":          {7, "7", bodies.Plain, nil},
		"a flag":            {false, "false", bodies.Plain, nil},
		"a list":            {[]any{"hi"}, "", bodies.Plain, nil},
		"an object":         {wire.M{"a": 1}, "", bodies.Plain, nil},
		"passphrase":        {seal(t, bodies.Encrypted, place, "hi"), "hi", bodies.Encrypted, nil},
		"sealed":            {seal(t, bodies.Authenticated, place, "hi"), "hi", bodies.Authenticated, nil},
		"sealed elsewhere":  {seal(t, bodies.Authenticated, elsewhere, "hi"), "", bodies.Plain, bodies.ErrTampered},
		"damaged":           {"U2FsdGVkX1 typed", "", bodies.Plain, bodies.ErrMalformed},
		"sealed, in a list": {[]any{seal(t, bodies.Authenticated, place, "hi")}, "", bodies.Plain, nil},
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
				assert.NotContains(t, text, "hi", name)
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
			assert.Equal(t, want, b.Genuine(place, stored), "%v writes, %v", writes, stored)
		}
		assert.Equal(t, writes == bodies.Plain, b.Genuine(envelope.Binding{ConversationID: 7, GUID: "g", Sender: "x"}, sealed))
	}
	b := with(t, bodies.Encrypted, bodies.Plain)
	b.AtHand = func(int64) (string, bool) { return "", false }
	assert.False(t, b.Genuine(place, salted), "nobody knows yet")
	b.AtHand = nil
	assert.True(t, b.Genuine(place, salted), "the form has to do")
	assert.False(t, b.Genuine(place, plain))
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
		assert.Equal(t, c.same, with(t, c.writes, bodies.Plain).Same(t.Context(), place, c.found, c.sealed), "%+v", c)
	}
}

func TestTheFirstRowThatWasReadCounts(t *testing.T) {
	t.Parallel()
	b := with(t, bodies.Authenticated, bodies.Plain)
	require.NoError(t, b.Copy(place, 5))
	require.NoError(t, b.Copy(place, 5), "an edit, another listener")
	for _, id := range []int64{9, 3} {
		err := b.Copy(place, id)
		require.ErrorIs(t, err, bodies.ErrTampered)
		require.ErrorIs(t, err, bodies.ErrUnreadable)
	}
	require.NoError(t, b.Copy(place, 0), "not stored yet")
	require.NoError(t, b.Copy(envelope.Binding{ConversationID: 7}, 1))
	require.NoError(t, b.Copy(envelope.Binding{ConversationID: 7}, 2), "without a guid nothing tells")
	require.NoError(t, b.Copy(envelope.Binding{ConversationID: 7, GUID: "g", Sender: "v"}, 6))
	for i := range int64(10_000) { // bounded memory, and the latest stay
		at := envelope.Binding{ConversationID: 8, GUID: strings.Repeat("x", int(i%7)+1), Sender: string(rune('a' + i))}
		require.NoError(t, b.Copy(at, i+1))
		require.Error(t, b.Copy(at, i+2))
	}
	b.Forget()
	require.NoError(t, b.Copy(place, 9))
}

func TestAKeyThatCannotBeReadFailsOneBody(t *testing.T) {
	t.Parallel()
	b := with(t, bodies.Encrypted, bodies.Plain)
	salted := seal(t, bodies.Encrypted, place, "hi")
	gone := errors.New("gone")
	for key, want := range map[string]error{"": nil, "x": gone} {
		b.Passphrase = func(context.Context, int64) (string, error) { return key, want }
		text, had, err := b.Open(t.Context(), place, salted)
		require.ErrorIs(t, err, bodies.ErrKeyUnavailable)
		assert.Equal(t, salted, text)
		assert.Equal(t, bodies.Plain, had)
		_, err = b.Seal(t.Context(), place, "hi")
		require.ErrorIs(t, err, bodies.ErrKeyUnavailable)
	}
	// What everybody can compute is no protection.
	b.Passphrase = func(_ context.Context, id int64) (string, error) { return wire.FallbackBodyKey(id), nil }
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
