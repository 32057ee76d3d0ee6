package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

func TestABellReplacesAndRemovesNoHookOfAnybodyElse(t *testing.T) {
	t.Parallel()
	const endpoint = "http://localhost/bell"
	for name, hook := range map[string]string{
		"a parameter that Go's parser drops": `{"type":"web","runOn":["insert","update"],"conditions":[],"payload":{"method":"POST","endpoint":"http://localhost/bell?a;b&conversation=7","headers":{},"body":{}}}`,
		"another parameter":                  `{"type":"web","runOn":["insert","update"],"conditions":[],"payload":{"method":"POST","endpoint":"http://localhost/bell?conversation=7&a=b","headers":{},"body":{}}}`,
		"another method":                     `{"type":"web","runOn":["insert","update"],"conditions":[],"payload":{"method":"PUT","endpoint":"http://localhost/bell?conversation=7","headers":{},"body":{}}}`,
		"headers":                            `{"type":"web","runOn":["insert","update"],"conditions":[],"payload":{"method":"POST","endpoint":"http://localhost/bell?conversation=7","headers":{"X":"y"},"body":{}}}`,
		"a body":                             `{"type":"web","runOn":["insert","update"],"conditions":[],"payload":{"method":"POST","endpoint":"http://localhost/bell?conversation=7","headers":{},"body":{"a":1}}}`,
		"a condition":                        `{"type":"web","runOn":["insert","update"],"conditions":[{"a":1}],"payload":{"method":"POST","endpoint":"http://localhost/bell?conversation=7","headers":{},"body":{}}}`,
		"an id that is none":                 `{"type":"web","runOn":["insert","update"],"conditions":[],"payload":{"method":"POST","endpoint":"http://localhost/bell?conversation=all","headers":{},"body":{}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := json.RawMessage("[" + hook + "]")
			with, changed, err := wire.WithBell(before, endpoint, 7)
			require.NoError(t, err)
			assert.True(t, changed)
			var list []json.RawMessage
			require.NoError(t, json.Unmarshal(with, &list))
			require.Len(t, list, 2)
			assert.Equal(t, hook, string(list[0]))
			without, changed, err := wire.WithoutBell(with, endpoint, 7)
			require.NoError(t, err)
			assert.True(t, changed)
			assert.Equal(t, string(before), string(without))
			_, changed, err = wire.WithoutBell(before, endpoint, 7)
			require.NoError(t, err)
			assert.False(t, changed)
		})
	}
}
