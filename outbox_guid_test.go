package chat_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestAGUIDThatWasStoredIsNotStoredTwiceWithoutAnOutboxEither(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	first, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hi", GUID: "g"})
	require.NoError(t, err)
	again, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hi", GUID: "g"})
	require.NoError(t, err)
	assert.Equal(t, first.ID, again.ID)
	assert.Equal(t, "hi", again.Body)
	assert.Equal(t, 1, w.Count(fliplettest.Insert))
}
