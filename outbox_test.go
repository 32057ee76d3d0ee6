package chat_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

func TestOutboxSendsLikeMessageDoes(t *testing.T) {
	w := newWorld(t)
	var got []chat.SendState
	done := make(chan struct{})
	jane := w.login("jane", func(o *chat.Options) {
		o.Outbox = &chat.OutboxOptions{OnChange: func(c chat.SendChange) {
			got = append(got, c.State)
			if c.State == chat.SendStored {
				assert.Equal(t, "hi", c.Message.Body)
				close(done)
			}
		}}
	})
	conv := w.converse(jane, "bob")
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hi", Data: chat.M{"n": 9007199254740993}})
	require.NoError(t, err)
	assert.Equal(t, "hi", m.Body)
	assert.NotZero(t, m.ID)
	<-done
	require.NoError(t, jane.Outbox().Flush(t.Context()))
	assert.Zero(t, jane.Outbox().Len())
	assert.Len(t, w.Rows(conv.ID), 1)
}
