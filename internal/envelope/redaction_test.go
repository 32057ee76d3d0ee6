package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyPrint is v in all the ways a program lets values slip into its output.
func everyPrint(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%t", "%p", "%20v", "%w"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	fmt.Fprintln(&out, v, []any{v}, map[string]any{"a": v}, struct{ A any }{v}, &v)
	encoded, err := json.Marshal(map[string]any{"a": v})
	require.NoError(t, err)
	out.Write(encoded)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("line", "a", v, "group", slog.GroupValue(slog.Any("inner", v)))
	}
	return out.String()
}

func TestAEADShowsItsNameAndNoKey(t *testing.T) {
	t.Parallel()
	key := []byte("a key of text, which would show!")
	a, err := envelope.NewAEAD("2024-05", key)
	require.NoError(t, err)
	type holder struct {
		Public  *envelope.AEAD
		private *envelope.AEAD
	}
	printed := everyPrint(t, a) + everyPrint(t, holder{a, a}) + everyPrint(t, &holder{a, a})
	assert.Contains(t, printed, "envelope.AEAD(2024-05, key redacted)")
	for _, form := range []string{
		string(key), string(key[:8]), hex.EncodeToString(key[:8]), strings.ToUpper(hex.EncodeToString(key[:8])), base64.StdEncoding.EncodeToString(key[:9]),
		strings.Trim(fmt.Sprint(key[:4]), "[]"), strings.ReplaceAll(strings.Trim(fmt.Sprint(key[:4]), "[]"), " ", ","), "0x61, 0x20",
	} {
		assert.NotContains(t, printed, form)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%t", "%20v"} {
		assert.Equal(t, a.String(), fmt.Sprintf(verb, a), verb)
	}
	encoded, err := json.Marshal(a)
	require.NoError(t, err)
	assert.JSONEq(t, `"`+a.String()+`"`, string(encoded))
	assert.Equal(t, a.String(), slog.AnyValue(a).Resolve().String())
	assert.Equal(t, slog.KindString, slog.AnyValue(a).Resolve().Kind())
	assert.NotPanics(t, func() { everyPrint(t, (*envelope.AEAD)(nil)) })
}

func TestErrorsShowNothingThatWasGiven(t *testing.T) {
	t.Parallel()
	const secret = "canary"
	a := newAEAD(t, "k1", 1)
	key := []byte(strings.Repeat(secret, 3))
	stored, err := envelope.SealPassphrase(secret, secret)
	require.NoError(t, err)
	var failures []error
	add := func(_ any, err error) {
		require.Error(t, err)
		failures = append(failures, err)
	}
	add(envelope.OpenPassphrase(secret, secret))
	add(envelope.OpenPassphrase(stored+secret, secret))
	add(envelope.OpenPassphrase(stored[:24], secret))
	add(envelope.OpenPassphrase(envelope.SealPassphraseWithSalt(secret+"\xff", secret, [8]byte{}), secret))
	add(envelope.SealPassphrase(secret+"\xff", secret))
	add(envelope.SealPassphrase(secret, ""))
	add(envelope.SealRaw(secret, key, key))
	add(envelope.OpenRaw(secret, testKey(1), key))
	add(envelope.NewAEAD(secret+" ", testKey(1)))
	add(envelope.NewAEAD(secret, key))
	add(a.Seal(secret+"\xff", place))
	add(a.Seal(secret, envelope.Binding{GUID: secret}))
	add(a.Open("flsealed:2:"+secret, envelope.Binding{GUID: secret}))
	a.Wipe()
	add(a.Seal(secret, place))
	failures = append(failures, &envelope.Error{Kind: envelope.KindWrongKeyID})
	for _, err := range failures {
		assert.NotContains(t, everyPrint(t, err), secret)
		assert.NotEqual(t, "envelope: failed", err.Error(), "every kind has a text of its own")
	}
	foreign := &envelope.Error{Kind: secret}
	assert.NotContains(t, foreign.Error(), secret)
	assert.NoError(t, foreign.Unwrap())
}

func TestErrorsMatchTheirClassAndKind(t *testing.T) {
	t.Parallel()
	classes := map[error][]envelope.Kind{
		envelope.ErrNotEncrypted: {envelope.KindNotEncrypted},
		envelope.ErrUnreadable:   {envelope.KindBadBase64, envelope.KindTruncated, envelope.KindBadPadding, envelope.KindBadUTF8},
		envelope.ErrAuth:         {envelope.KindUnauthentic, envelope.KindWrongKeyID},
		envelope.ErrInput: {envelope.KindBadKey, envelope.KindBadKeyID, envelope.KindBadIV, envelope.KindBadPlaintext,
			envelope.KindBadBinding},
		envelope.ErrWiped: {envelope.KindWiped},
	}
	for class, kinds := range classes {
		for _, kind := range kinds {
			wrapped := fmt.Errorf("open: %w", &envelope.Error{Kind: kind})
			for other := range classes {
				if other == class {
					assert.ErrorIs(t, wrapped, other)
				} else {
					assert.NotErrorIs(t, wrapped, other)
				}
			}
			assert.ErrorIs(t, wrapped, &envelope.Error{Kind: kind})
			assert.NotErrorIs(t, wrapped, &envelope.Error{Kind: "another"})
		}
	}
}
