package chat_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

func TestAFileInsideAURLNeverLeavesUnencrypted(t *testing.T) {
	t.Parallel()
	const text, encoded = "PLAINSECRET", "UExBSU5TRUNSRVQ="
	leaks := func(tap *wiretap) bool {
		all := strings.Join(tap.sent, "\n")
		return strings.Contains(all, text) || strings.Contains(all, strings.TrimRight(encoded, "="))
	}
	for name, keys := range ownKeys(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane, tap := w.tapped("jane", keys)
			conv := w.converse(jane, "bob")
			for u, works := range map[string]bool{
				"data:text/plain;base64," + encoded:               true,
				"DATA:text/plain;charset=utf-8;BASE64," + encoded: true,
				"data:text/plain," + text:                         true,
				"data:text/plain;charset=utf-8," + text:           true,
				" data:text/plain;base64," + encoded:              true,
				"\tdata:text/plain," + text:                       true,
				"\x00\u00a0da\nta:text/plain," + text:             true,
				"data:;base64 ," + encoded:                        true,
				"data:," + text:                                   true,
				"data:" + text:                                    false,
				"data:text/plain;base64,##" + encoded:             false,
				"data:text/plain,%" + text:                        false,
			} {
				m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{URL: u}}})
				assert.False(t, leaks(tap), "%q", u)
				if !works {
					require.ErrorIs(t, err, chat.ErrInvalid, "%q", u)
					continue
				}
				require.NoError(t, err, "%q", u)
				kind, content := fetch(t, jane, m, 0)
				assert.Equal(t, text, content, "%q", u)
				assert.True(t, strings.HasPrefix(kind, "text/plain"), kind)
			}
		})
	}
	for name, keys := range ownKeys(t) {
		w := newWorld(t)
		jane, tap := w.tapped("jane", keys)
		conv := w.converse(jane, "bob")
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x", Files: []chat.File{{Name: "a.txt", Content: []byte("abc")}}})
		require.NoError(t, err)
		data := "data:text/plain;base64," + encoded
		before := len(w.Requests())
		for _, file := range []any{
			data, "\tdata:text/plain," + text, []string{"https://x", data}, []any{data}, `["` + data + `"]`, chat.M{"name": "x", "data": text},
			[]any{chat.M{"data": text}}, []any{[]any{data}}, map[string]string{"a": text}, []byte(text), struct{ A string }{text}, 7,
		} {
			_, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"file": file})
			require.ErrorIs(t, err, chat.ErrInvalid, "%s: %v", name, file)
			require.ErrorContains(t, err, "unencrypted")
			assert.NotContains(t, err.Error(), text)
		}
		assert.False(t, leaks(tap))
		assert.Len(t, w.Requests(), before)
		for _, file := range []any{[]any{"https://x", m.Files[0]}, "https://x", nil} {
			_, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"file": file})
			require.NoError(t, err, "%s: %v", name, file)
		}
	}
}
