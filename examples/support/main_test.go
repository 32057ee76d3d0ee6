package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestDeskTellsWhatItEscalates(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `0 hours later: 0 escalated
23 hours later: 0 escalated
1 hours later: 1 escalated
  Support for Ann
1 hours later: 0 escalated
`, out.String())
}

func TestDeskEscalatesOnceWhatNobodyAnswersFor24Hours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		o, err := open(t.Context(), s)
		require.NoError(t, err)
		defer o.close()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		restart := func() {
			d := o.desk()
			go d.watch(ctx, 10*time.Minute, func(err error) { assert.NoError(t, err) })
		}
		restart()
		say := func(who string, conv *chat.Conversation, text string) {
			_, err := o.chats[who].Message(t.Context(), conv.ID, chat.Draft{Body: text})
			require.NoError(t, err)
		}
		escalations := func(conv *chat.Conversation) (n int) {
			for _, row := range s.Rows(conv.ID) {
				if row.Data["fromUserId"] == o.chats["desk"].User().UserID {
					n++
				}
			}
			return n
		}
		open, err := o.ask(t.Context(), "Ann", "My badge does not work.")
		require.NoError(t, err)
		answered, err := o.ask(t.Context(), "Cem", "Where is room 5?")
		require.NoError(t, err)

		time.Sleep(12 * time.Hour)
		say("agent", answered, "On the first floor.")
		say("Ann", open, "Hello?") // does not begin the time anew
		time.Sleep(11*time.Hour + 55*time.Minute)
		assert.Zero(t, escalations(open), "not before 24 hours")
		time.Sleep(20 * time.Minute)
		assert.Equal(t, 1, escalations(open))
		invited, err := o.chats["lead"].Conversations(t.Context())
		require.NoError(t, err)
		require.Len(t, invited, 1)
		assert.Equal(t, open.ID, invited[0].ID)

		stop() // a restart escalates nothing again
		synctest.Wait()
		ctx, stop = context.WithCancel(t.Context())
		defer stop()
		restart()
		time.Sleep(48 * time.Hour)
		assert.Equal(t, 1, escalations(open))
		assert.Zero(t, escalations(answered))

		say("Ann", open, "Still broken.")
		time.Sleep(25 * time.Hour)
		assert.Equal(t, 2, escalations(open), "another day without an answer")
		stop()
		synctest.Wait()
	})
}

// The desk cannot send to the conversation with the latest activity, whose key was changed.
// It comes first in each sweep.
func TestDeskEscalatesBesideAConversationThatCannotBeEscalated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		o, err := open(t.Context(), s)
		require.NoError(t, err)
		defer o.close()
		behind, err := o.ask(t.Context(), "Cem", "Where is room 5?")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		broken, err := o.ask(t.Context(), "Ann", "My badge does not work.")
		require.NoError(t, err)
		d := o.desk()
		escalated, err := d.sweep(t.Context(), time.Now()) // the desk has seen both keys
		require.NoError(t, err)
		require.Empty(t, escalated)

		source, err := s.Client().DataSource(t.Context(), broken.ID)
		require.NoError(t, err)
		var definition map[string]any
		require.NoError(t, json.Unmarshal(source.Definition, &definition))
		for name, value := range definition {
			if _, text := value.(string); text { // the key
				definition[name] = "another key"
			}
		}
		raw, err := json.Marshal(definition)
		require.NoError(t, err)
		_, err = s.Client().UpdateDataSource(t.Context(), broken.ID, datasource.SourcePatch{Definition: raw})
		require.NoError(t, err)
		time.Sleep(25 * time.Hour)
		escalated, err = d.sweep(t.Context(), time.Now())
		assert.Equal(t, []int64{behind.ID}, escalated)
		require.ErrorIs(t, err, chat.ErrKeyChanged)
		require.ErrorContains(t, err, fmt.Sprint("conversation ", broken.ID))

		// Nor does one hold up others that cannot be read.
		_, err = o.chats["Cem"].Message(t.Context(), behind.ID, chat.Draft{Body: "Hello?"})
		require.NoError(t, err)
		time.Sleep(25 * time.Hour)
		s.Next(1, fliplettest.CrossSource, fliplettest.Status(400)) // the history of the one that is now the latest
		unread := s.Next(1, fliplettest.Query, fliplettest.Status(400))
		_, err = d.sweep(t.Context(), time.Now())
		require.Equal(t, 1, unread.Hits())
		require.ErrorContains(t, err, fmt.Sprintf("conversation %d: chat: history", behind.ID))
		require.ErrorContains(t, err, fmt.Sprint("conversation ", broken.ID))
		escalated, err = d.sweep(t.Context(), time.Now())
		require.Error(t, err)
		assert.Equal(t, []int64{behind.ID}, escalated)
	})
}
