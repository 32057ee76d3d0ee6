package main

import (
	"context"
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

func TestModeratorCleansWhatIsThere(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, "50 × Hello\n0 × Win at our casino!\n50 × My card is ****************\n50 marked\n", out.String())
}

// said are the live messages of a channel.
func said(s *fliplettest.Server, channel int64) (out []string) {
	for _, row := range s.Rows(channel) {
		if row.DeletedAt == nil {
			out = append(out, fmt.Sprint(row.Data["body"]))
		}
	}
	return out
}

func TestModeratorOf50ChannelsDeletesMasksAndMarks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		f, err := open(t.Context(), s)
		require.NoError(t, err)
		defer f.app.Close()
		shift := func() (end func()) {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- f.moderator().serve(ctx) }()
			time.Sleep(time.Minute)
			return func() {
				stop()
				require.NoError(t, <-ended)
			}
		}
		end := shift()
		logins := s.Count(fliplettest.Update)
		var harmless []*chat.Message
		for _, id := range f.channels {
			m, err := f.jane.Message(t.Context(), id, chat.Draft{Body: "Hello"})
			require.NoError(t, err)
			harmless = append(harmless, m)
			for _, text := range []string{"Win at our CASINO!", "damn, my card is 4111111111111111"} {
				_, err := f.jane.Message(t.Context(), id, chat.Draft{Body: text})
				require.NoError(t, err)
			}
		}
		time.Sleep(5 * time.Minute)
		for _, id := range f.channels {
			require.Equal(t, []string{"Hello", "****, my card is ****************"}, said(s, id))
			for _, row := range s.Rows(id) {
				require.Equal(t, strings.Contains(fmt.Sprint(row.Data["body"]), "*"), row.Data[moderated] == true, "what was changed is marked")
			}
		}
		assert.Equal(t, 50*(3+2), s.Count(fliplettest.Insert)+s.Count(fliplettest.Update)+s.Count(fliplettest.Delete)-logins,
			"what is harmless costs no request")

		end()
		for i, m := range harmless { // while nobody looks, they are edited
			text := "casino after all"
			if i%2 == 0 {
				text = "Hello, damn"
			}
			_, err := f.jane.UpdateMessage(t.Context(), m.ConversationID, m.ID, chat.M{"body": text})
			require.NoError(t, err)
		}
		end = shift()
		time.Sleep(5 * time.Minute)
		for i, id := range f.channels {
			want := []string{"Hello, ****", "****, my card is ****************"}
			if i%2 == 1 {
				want = want[1:]
			}
			require.Equal(t, want, said(s, id))
		}
		writes := s.Count(fliplettest.AnyWrite)
		time.Sleep(time.Hour)
		assert.Equal(t, writes, s.Count(fliplettest.AnyWrite), "its own edits are no reason to write")
		end()
	})
}

func TestModeratorTriesAgainWhenAGatewayHasNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		f, err := open(t.Context(), s)
		require.NoError(t, err)
		defer f.app.Close()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.moderator().serve(ctx) }()
		time.Sleep(time.Minute)
		gateways := []*fliplettest.Lever{
			s.Next(2, fliplettest.Delete, fliplettest.Answer(404, "<html>no such site</html>")),
			s.Next(2, fliplettest.Update, fliplettest.Answer(404, "<html>no such site</html>")),
		}
		for _, text := range []string{"Win at our casino!", "damn"} {
			_, err := f.jane.Message(t.Context(), f.channels[0], chat.Draft{Body: text})
			require.NoError(t, err)
		}
		time.Sleep(10 * time.Minute)
		assert.Equal(t, []string{"****"}, said(s, f.channels[0]))
		for _, gateway := range gateways {
			assert.Equal(t, 2, gateway.Hits())
		}

		// The service's own word is the end of it.
		refusals := s.Always(fliplettest.Delete, fliplettest.Status(404))
		_, err = f.jane.Message(t.Context(), f.channels[0], chat.Draft{Body: "casino"})
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 1, refusals.Hits())
		stop()
		require.NoError(t, <-ended)
	})
}

func TestModeratorCleansAConversationThatIsMadeWhileItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		f, err := open(t.Context(), s)
		require.NoError(t, err)
		defer f.app.Close()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.moderator().serve(ctx) }()
		time.Sleep(time.Minute)
		private := s.AddDataSource(datasource.M{
			"name": "Jane and Bob", "type": "conversation", "definition": datasource.M{"participants": []string{"jane", "bob"}},
		})
		for _, text := range []string{"casino", "damn", "Hello"} {
			_, err := f.jane.Message(t.Context(), private, chat.Draft{Body: text})
			require.NoError(t, err)
		}
		time.Sleep(5 * time.Minute)
		assert.Equal(t, []string{"****", "Hello"}, said(s, private))
		stop()
		require.NoError(t, <-ended)
	})
}
