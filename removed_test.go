package chat_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestAHandleOfARemovedMemberChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, eve := w.login("jane"), w.login("eve")
		conv := w.converse(jane, "bob", "eve")
		handle, err := eve.Conversation(t.Context(), conv.ID)
		require.NoError(t, err)
		require.NoError(t, handle.Notifications().Mute(t.Context()), "while she is a member")
		require.NoError(t, conv.Participants().Remove(t.Context(), w.ids["eve"]))
		before, writes := definitionOf(t, w, conv.ID), w.Count(fliplettest.UpdateSource)
		for name, call := range map[string]func() error{
			"mute":      func() error { return handle.Notifications().Mute(t.Context()) },
			"unmute":    func() error { return handle.Notifications().Unmute(t.Context()) },
			"remove":    func() error { return handle.Participants().Remove(t.Context(), w.ids["bob"]) },
			"leave":     func() error { return handle.Participants().Remove(t.Context(), w.ids["eve"]) },
			"add":       func() error { return handle.Participants().Add(t.Context(), w.ids["eve"]) },
			"add again": func() error { return handle.Participants().Add(t.Context(), w.ids["jane"]) },
		} {
			require.ErrorIs(t, call(), chat.ErrNotFound, name)
		}
		assert.Equal(t, before, definitionOf(t, w, conv.ID))
		assert.Equal(t, writes, w.Count(fliplettest.UpdateSource))
		assert.NotEmpty(t, handle.EncryptionKey(), "what was read stays in memory")

		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["eve"]))
		require.NoError(t, handle.Notifications().Unmute(t.Context()), "she is one again")
		require.NoError(t, handle.Participants().Remove(t.Context(), w.ids["eve"]), "and may leave")
		require.ErrorIs(t, handle.Participants().Remove(t.Context(), w.ids["eve"]), chat.ErrNotFound)
	})
}

// definitionOf is the definition that the server has.
func definitionOf(t *testing.T, w *world, id int64) any {
	t.Helper()
	for _, s := range w.Sources() {
		if s.ID == id {
			return s.Definition
		}
	}
	require.Fail(t, "no such data source")
	return nil
}
