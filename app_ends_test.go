package chat_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// attending is a user of an App with a stream and a loop.
type attending struct {
	*chat.Chat
	stream *chat.Subscription
	got    inbox
	loop   chan error // how the loop ended
}

func listen(t *testing.T, app *chat.App, query chat.M) *attending {
	t.Helper()
	l := &attending{loop: make(chan error, 1)}
	var err error
	l.Chat, err = app.User(t.Context(), query)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	l.stream, err = l.Stream(t.Context(), l.got.take, chat.StartAt(chat.FromNow))
	require.NoError(t, err)
	go func() {
		var last error
		for _, err := range l.Events(t.Context(), chat.StartAt(chat.FromNow)) {
			last = err
		}
		l.loop <- last
	}()
	return l
}

// ended returns how the stream and the loop have ended; nil: they go on.
func (l *attending) ended() (stream, loop error) {
	select {
	case <-l.stream.Done():
		stream = l.stream.Err()
	default:
	}
	select {
	case loop = <-l.loop:
	default:
	}
	return stream, loop
}

func TestTheStreamsOfAnAppsUsersEndWhenTheTokenIsRevoked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users = 20
		w, app, requests, _ := openApp(t, users)
		var all []*attending
		for i := range users {
			all = append(all, listen(t, app, chat.M{"flUserId": fmt.Sprint("user-", i)}))
		}
		time.Sleep(2 * time.Minute)
		before := requests.n.Load()
		w.RevokeToken(w.Token)
		time.Sleep(30 * time.Second)
		assert.Less(t, requests.n.Load()-before, int64(users), "the App finds out for all")
		for _, l := range all {
			stream, loop := l.ended()
			require.ErrorIs(t, stream, chat.ErrUnauthorized)
			require.ErrorIs(t, loop, chat.ErrUnauthorized)
			assert.Positive(t, l.Health().FailedPolls)
		}
		before = requests.n.Load()
		time.Sleep(time.Hour)
		assert.Less(t, requests.n.Load()-before, int64(300), "about one of each kind in a minute")
	})
}

func TestAnAppAndItsUsersAreToldOfAnOutageAndGoOnAfterIt(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]fliplettest.Route{"all reads": fliplettest.AnyRead, "rows, and not the list": fliplettest.Query} {
		for _, status := range []int{403, 503} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w, app, _, rooms := openApp(t, 3)
					l := listen(t, app, chat.M{"flUserId": "user-1"})
					time.Sleep(time.Minute)
					outage := w.Always(route, fliplettest.Status(status))
					w.AddRows(rooms[1], chat.M{"body": "during", "fromUserId": "somebody", "guid": "during"})
					time.Sleep(3 * time.Minute)
					require.ErrorContains(t, l.Health().LastError, fmt.Sprint("HTTP ", status))
					assert.Positive(t, l.Health().FailedPolls)
					require.ErrorContains(t, app.Health().Err, fmt.Sprint("HTTP ", status))
					outage.Off()
					w.AddRows(rooms[1], chat.M{"body": "after", "fromUserId": "somebody", "guid": "after"})
					time.Sleep(6 * time.Minute)
					assert.Zero(t, l.Health().FailedPolls)
					require.NoError(t, app.Health().Err)
					assert.Equal(t, map[string]int{"during": 1, "after": 1}, l.got.bodies())
					stream, loop := l.ended()
					require.NoError(t, stream)
					require.NoError(t, loop)
				})
			})
		}
	}
}

// contact is the id of the contact with an e-mail.
func (w *world) contact(email string) int64 {
	for _, row := range w.Rows(w.contacts) {
		if row.Data["Email"] == email {
			return row.ID
		}
	}
	return 0
}

func TestAUserOfAnAppWhoseContactIsGoneGetsNothingMore(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(context.Context, *datasource.Client, int64, int64) error{
		"deleted": func(ctx context.Context, c *datasource.Client, contacts, id int64) error {
			return c.Delete(ctx, contacts, id)
		},
		"another's": func(ctx context.Context, c *datasource.Client, contacts, id int64) error {
			_, err := c.Update(ctx, contacts, id, chat.M{"flUserId": "another", "flUserToken": "another-token"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, app, _, rooms := openApp(t, 4)
				gone, stays := listen(t, app, chat.M{"Email": "user-1"}), listen(t, app, chat.M{"Email": "user-2"})
				time.Sleep(time.Minute)
				token, _ := w.AddToken(fliplettest.UserToken)
				require.NoError(t, change(t.Context(), w.ClientFor(token), w.contacts, w.contact("user-1")))
				time.Sleep(8 * time.Minute)
				stream, loop := gone.ended()
				require.ErrorIs(t, stream, chat.ErrContactNotFound)
				require.ErrorIs(t, loop, chat.ErrContactNotFound)
				w.AddRows(rooms[1], chat.M{"body": "later", "fromUserId": "somebody", "guid": "later"})
				time.Sleep(2 * time.Minute)
				assert.Empty(t, gone.got.bodies())
				assert.Equal(t, map[string]int{"later": 1}, stays.got.bodies())
				stream, loop = stays.ended()
				require.NoError(t, stream)
				require.NoError(t, loop)
			})
		})
	}
}
