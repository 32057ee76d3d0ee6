package envelope_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attempt is an envelope somebody changed or moved.
type attempt struct {
	how    string
	stored string
	at     envelope.Binding
}

const tamperHeader = "flsealed:2:key-a:"

// tampered is every change of stored, a body sealed at place under key-a, that the tests know of. other is another body of
// the same key and place.
func tampered(stored, other string) []attempt {
	var attempts []attempt
	add := func(stored string, at envelope.Binding, how string, args ...any) {
		attempts = append(attempts, attempt{fmt.Sprintf(how, args...), stored, at})
	}
	for i := range len(stored) {
		for bit := range 8 {
			changed := []byte(stored)
			changed[i] ^= 1 << bit
			add(string(changed), place, "bit %d of byte %d", bit, i)
		}
		for _, extra := range []string{"A", "=", ":", " ", "\n", "\r\n", "\x00", "é"} {
			add(stored[:i]+extra+stored[i:], place, "%q before byte %d", extra, i)
		}
		add(stored[:i], place, "cut to %d bytes", i)
		add(stored[i+1:], place, "first %d bytes gone", i+1)
		add(stored[:i]+stored[i+1:], place, "byte %d gone", i)
	}
	for _, extra := range []string{"A", "AA", "AAA", "AAAA", "=", "==", " ", "\n", "\r", "\r\n", ":", ":k1"} {
		add(stored+extra, place, "%q after it", extra)
	}
	for n := range int64(500) {
		add(stored, envelope.Binding{ConversationID: place.ConversationID, GUID: place.GUID, Sender: fmt.Sprint("u-", n)}, "given to u-%d", n)
		add(stored, envelope.Binding{ConversationID: n + 1, GUID: place.GUID, Sender: place.Sender}, "moved to conversation %d", n+1)
		add(stored, envelope.Binding{ConversationID: place.ConversationID, GUID: fmt.Sprint("guid-", n), Sender: place.Sender}, "moved to guid-%d", n)
		add(stored, envelope.Binding{ConversationID: n, GUID: fmt.Sprint("guid-", n)}, "moved to conversation %d, guid-%d", n, n)
	}
	alike := func(change func(*envelope.Binding)) {
		at := place
		change(&at)
		add(stored, at, "moved to %+v, which looks alike", at)
	}
	alike(func(at *envelope.Binding) { *at = envelope.Binding{} })
	alike(func(at *envelope.Binding) { at.GUID = "" })
	alike(func(at *envelope.Binding) { at.ConversationID *= -1 })
	alike(func(at *envelope.Binding) { at.ConversationID <<= 32 })
	alike(func(at *envelope.Binding) { at.GUID, at.Sender = at.Sender, at.GUID })
	alike(func(at *envelope.Binding) { at.GUID, at.Sender = at.GUID+at.Sender, "" })
	for _, field := range []func(*envelope.Binding) *string{
		func(at *envelope.Binding) *string { return &at.GUID }, func(at *envelope.Binding) *string { return &at.Sender },
	} {
		alike(func(at *envelope.Binding) { *field(at) = "" })
		alike(func(at *envelope.Binding) { *field(at) = strings.ToUpper(*field(at)) })
		alike(func(at *envelope.Binding) { *field(at) += " " })
		alike(func(at *envelope.Binding) { *field(at) += "\x00" })
	}
	mine, theirs := stored[len(tamperHeader):], other[len(tamperHeader):]
	add("flsealed:2:key-b:"+mine, place, "key id swapped")
	add("flsealed:2:key-c:"+mine, place, "key id nobody has")
	add("flsealed:2:KEY-A:"+mine, place, "key id in other case")
	add("flsealed:1:key-a:"+mine, place, "version swapped")
	add("flsealed:3:key-a:"+mine, place, "version nobody has")
	add(tamperHeader+theirs[:16]+mine[16:], place, "nonce swapped") // 16 characters are 12 bytes
	add(tamperHeader+spliceTag(mine, theirs), place, "tag swapped")
	add(stored+mine, place, "two bodies")
	add(stored+stored, place, "two envelopes")
	add(tamperHeader+strings.NewReplacer("-", "+", "_", "/").Replace(mine)+"=", place, "standard alphabet")
	add(strings.ToUpper(stored), place, "other letters")
	return attempts
}

// spliceTag is the body mine with the tag of theirs.
func spliceTag(mine, theirs string) string {
	a, errA := base64.RawURLEncoding.DecodeString(mine)
	b, errB := base64.RawURLEncoding.DecodeString(theirs)
	if errA != nil || errB != nil {
		panic("the test passed a body that is not base64")
	}
	return base64.RawURLEncoding.EncodeToString(append(a[:len(a)-16], b[len(b)-16:]...))
}

func TestTamperedEnvelopesAreAllRefusedAlike(t *testing.T) {
	t.Parallel()
	// A reader with two keys that chooses by key id, as callers do.
	keys := map[string]*envelope.AEAD{"key-a": newAEAD(t, "key-a", 1), "key-b": newAEAD(t, "key-b", 2)}
	open := func(stored string, at envelope.Binding) (string, error) {
		if id, ok := envelope.KeyID(stored); ok && keys[id] != nil {
			return keys[id].Open(stored, at)
		}
		return keys["key-a"].Open(stored, at)
	}
	_, sample := open("", place)
	require.ErrorIs(t, sample, envelope.ErrAuth)

	tried := 0
	for _, text := range []string{"", "pay 0100 to Ann.", strings.Repeat("120 bytes ", 12), strings.Repeat("👍", 40)} {
		stored, err := keys["key-a"].Seal(text, place)
		require.NoError(t, err)
		other, err := keys["key-a"].Seal(strings.ToUpper(text), place)
		require.NoError(t, err)
		got, err := open(stored, place)
		require.NoError(t, err)
		require.Equal(t, text, got)
		for _, c := range tampered(stored, other) {
			got, err := open(c.stored, c.at)
			require.Equal(t, envelope.KindUnauthentic, kindOf(err), c.how)
			require.ErrorIs(t, err, envelope.ErrAuth, c.how)
			require.Equal(t, sample.Error(), err.Error(), c.how)
			require.Empty(t, got, c.how)
			tried++
		}
	}
	t.Logf("%d tampered envelopes, %d refused", tried, tried)
	assert.GreaterOrEqual(t, tried, 10_000)
}

// No two bindings, key ids and guids share an encoding: moving characters from one to the next is noticed.
func TestBindingFieldsDoNotRunIntoEachOther(t *testing.T) {
	t.Parallel()
	fields := []struct {
		keyID string
		at    envelope.Binding
	}{
		{"k", envelope.Binding{ConversationID: 1, GUID: "23"}},
		{"k", envelope.Binding{ConversationID: 12, GUID: "3"}},
		{"k1", envelope.Binding{ConversationID: 1, GUID: "23"}},
		{"k1", envelope.Binding{ConversationID: 12, GUID: "3"}},
		{"k", envelope.Binding{ConversationID: 1, GUID: "\x00\x00\x00\x00\x00\x00\x00\x0223"}},
		{"k", envelope.Binding{ConversationID: 1 << 40, GUID: "23"}},
		{"k", envelope.Binding{ConversationID: 1, GUID: "2"}},
		{"k", envelope.Binding{ConversationID: 1}},
		{"k", envelope.Binding{ConversationID: 1, Sender: "2"}},
		{"k", envelope.Binding{ConversationID: 1, GUID: "2", Sender: "3"}},
		{"k", envelope.Binding{ConversationID: 1, Sender: "23"}},
	}
	for i, from := range fields {
		stored, err := newAEAD(t, from.keyID, 1).Seal("text", from.at)
		require.NoError(t, err)
		for j, to := range fields {
			// The id in the text is adjusted, so that only the associated data can tell.
			relabelled := strings.Replace(stored, ":"+from.keyID+":", ":"+to.keyID+":", 1)
			_, err := newAEAD(t, to.keyID, 1).Open(relabelled, to.at)
			if i == j {
				assert.NoError(t, err)
			} else {
				assert.Equal(t, envelope.KindUnauthentic, kindOf(err), "%d as %d", i, j)
			}
		}
	}
}

func TestAnotherKeyOfTheSameNameIsRefused(t *testing.T) {
	t.Parallel()
	stored, err := newAEAD(t, "k1", 1).Seal("text", place)
	require.NoError(t, err)
	_, err = newAEAD(t, "k1", 2).Open(stored, place)
	assert.Equal(t, envelope.KindUnauthentic, kindOf(err))
}
