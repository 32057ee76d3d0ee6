package chat_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/profile"
)

func TestAnUnusableProfileIsRefusedByTheNameOfItsField(t *testing.T) {
	w := newWorld(t)
	opts := chat.Options{Client: w.Client(), DataSourceID: w.contacts, Profile: profile.Profile{Overlap: time.Second}}
	_, err := chat.Connect(t.Context(), opts)
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorContains(t, err, "Options.Profile: profile: overlapSeconds: 1; use 5 to 600")
	_, err = chat.OpenApp(t.Context(), chat.AppOptions{Options: opts})
	require.ErrorContains(t, err, "Options.Profile: profile: overlapSeconds")
}

// Twelve conversations, so that newest rows by joins pay.
func TestAProfileSaysHowConversationsAreRead(t *testing.T) {
	for name, x := range map[string]struct {
		profile profile.Profile
		across  bool
		queries int // of single data sources in one poll
	}{
		"nothing known":     {across: true},
		"no call":           {profile: profile.Profile{CrossSource: profile.Avoid}, queries: 1},
		"few joins":         {profile: profile.Profile{CrossSource: profile.Avoid, MaxJoins: 4}, queries: 3},
		"no joins":          {profile: profile.Profile{CrossSource: profile.Avoid, Joins: profile.Avoid}, queries: 12},
		"times stand still": {profile: profile.Profile{CrossSource: profile.Avoid, ListTimes: profile.Avoid}, queries: 24},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				c := w.login("jane", func(o *chat.Options) {
					o.Profile, o.LivePollInterval, o.PollInterval = x.profile, time.Hour, time.Hour
				})
				for i := range 11 {
					w.addTalk(fmt.Sprint("talk ", i))
				}
				time.Sleep(time.Hour)
				w.AddRows(w.addTalk("the last one"), chat.M{"body": "hello", "fromUserId": "somebody"})
				sub, err := c.Stream(t.Context(), func(*chat.Message) {}, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				require.NoError(t, c.Poll(t.Context()))
				time.Sleep(time.Minute) // what a poll has to look at twice is settled
				require.NoError(t, c.Poll(t.Context()))
				time.Sleep(time.Minute)
				before, across := w.Count(fliplettest.Query), w.Count(fliplettest.CrossSource)
				require.NoError(t, c.Poll(t.Context()))
				assert.Equal(t, x.queries, w.Count(fliplettest.Query)-before)
				assert.Equal(t, x.across, w.Count(fliplettest.CrossSource) > across)
				if !x.across {
					assert.Zero(t, w.Count(fliplettest.CrossSource), "asked although it is known to be of no use")
				}
				sub.Stop()
			})
		})
	}
}

func TestARowThatIsAsLateAsTheProfileSaysIsNotLost(t *testing.T) {
	for overlap, want := range map[time.Duration]int64{0: 1, 30 * time.Second: 2} {
		t.Run(fmt.Sprint(overlap), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane, bob := w.login("jane", func(o *chat.Options) { o.Profile.Overlap = overlap }), w.login("bob")
				conv := w.converse(bob, "jane")
				var got atomic.Int64
				_, err := jane.Stream(t.Context(), func(m *chat.Message) {
					if !m.IsUpdate {
						got.Add(1)
					}
				}, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				w.Next(1, fliplettest.Insert, fliplettest.VisibleAfter(20*time.Second))
				w.say(bob, conv, "late")
				time.Sleep(time.Second)
				w.say(bob, conv, "in time")
				time.Sleep(time.Minute)
				assert.Equal(t, want, got.Load())
			})
		})
	}
}

// The default strategy sweeps all conversations in a minute, this one in seconds.
func TestAnAppLooksAtAllConversationsWhereTheListShowsNothing(t *testing.T) {
	for use, want := range map[profile.Use]bool{profile.Try: false, profile.Avoid: true} {
		t.Run(fmt.Sprintf("%q", use), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.addTalk("talk")
				app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{
					Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID, Profile: profile.Profile{ListTimes: use},
				}})
				require.NoError(t, err)
				_, err = app.Stream(t.Context(), func(*chat.Message) {}, chat.StartAt(chat.FromNow)) // nothing is read for nobody
				require.NoError(t, err)
				time.Sleep(2 * time.Minute)
				lists, queries := w.Count(fliplettest.ListSources), w.Count(fliplettest.Query)
				time.Sleep(time.Minute)
				assert.Equal(t, want, w.Count(fliplettest.Query)-queries > w.Count(fliplettest.ListSources)-lists)
				require.NoError(t, app.Close())
			})
		})
	}
}

// An App reads each row that is late by less than the overlap, too.
func TestAnAppReadsBackAsFarAsTheProfileSays(t *testing.T) {
	for overlap, want := range map[time.Duration]int64{0: 400, 40 * time.Second: 401} {
		t.Run(fmt.Sprint(overlap), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				bob := w.login("bob")
				conv := w.converse(bob, "jane")
				app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{
					Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID, Profile: profile.Profile{Overlap: overlap},
				}})
				require.NoError(t, err)
				var got atomic.Int64
				_, err = app.Stream(t.Context(), func(m *chat.Message) {
					if !m.IsUpdate {
						got.Add(1)
					}
				})
				require.NoError(t, err)
				time.Sleep(5 * time.Second)
				w.Next(1, fliplettest.Insert, fliplettest.VisibleAfter(20*time.Second))
				w.say(bob, conv, "late")
				time.Sleep(time.Second)
				many := make([]chat.M, 400) // more than a look at the newest rows has
				for i := range many {
					many[i] = chat.M{"body": "in time", "fromUserId": "somebody"}
				}
				w.AddRows(conv.ID, many...)
				time.Sleep(5 * time.Minute)
				assert.Equal(t, want, got.Load())
				require.NoError(t, app.Close())
			})
		})
	}
}
