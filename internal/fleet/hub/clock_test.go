package hub_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/hub"
)

// clocks are what may be wrong with a server's times.
var clocks = map[string]func(*fliplettest.Server){
	"every other read is 15 s behind": func(s *fliplettest.Server) { s.Sometimes(.5, fliplettest.AnyRead, fliplettest.Lag(15*time.Second)) },
	"every other read is 30 s behind": func(s *fliplettest.Server) { s.Sometimes(.5, fliplettest.AnyRead, fliplettest.Lag(30*time.Second)) },
	"the clock goes back by 10 s":     func(s *fliplettest.Server) { s.ShiftClock(-10 * time.Second) },
	"the clock goes back by an hour":  func(s *fliplettest.Server) { s.ShiftClock(-time.Hour) },
	"the clock stands for 20 s":       func(s *fliplettest.Server) { s.FreezeClock(); time.AfterFunc(20*time.Second, s.ThawClock) },
	"the clock stands for a minute":   func(s *fliplettest.Server) { s.FreezeClock(); time.AfterFunc(time.Minute, s.ThawClock) },
	"the clock stands":                func(s *fliplettest.Server) { s.FreezeClock() },
}

// Ids grow even when times do not.
func TestListenersGetEveryMessageWhateverTheServersClockSays(t *testing.T) {
	t.Parallel()
	for name, wrong := range clocks {
		for before, some := range map[string]int{"": 24, ", and nobody has written before": 0} {
			everyMessage(t, name+before, some, wrong, "")
		}
	}
}

// A strategy that reads by time goes back to where the clock was set to, however quiet it was before.
func TestListenersGetEveryMessageWithEachStrategyWhenTheServersClockIsSetBack(t *testing.T) {
	t.Parallel()
	once, far := []time.Duration{time.Hour}, []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}
	for strategy, backs := range map[string][]time.Duration{
		"bell": once, "audit": once, "list": once, "cover": once, "sweep": once, "across": far, "single": far,
	} {
		for _, back := range backs {
			for quiet, before := range map[string]int{"": 24, ", and nobody has written before": 0} {
				everyMessage(t, fmt.Sprint(strategy, ", back by ", back, quiet), before, func(s *fliplettest.Server) { s.ShiftClock(-back) }, strategy)
			}
		}
	}
}

func everyMessage(t *testing.T, name string, before int, wrong func(*fliplettest.Server), strategy string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := fliplettest.New(t, fliplettest.InProcess())
			rooms := roomsOf(srv, 12)
			time.Sleep(10 * time.Second)
			contacts, _ := srv.AddContacts(datasource.M{"flUserId": "a", "flUserToken": "token-a"})
			h := run(t, hub.Config{
				Client: srv.Client(), Apps: []int64{srv.AppID}, Log: slog.New(slog.DiscardHandler), Contacts: contacts, Strategy: strategy,
			})
			user, all, now := sit(t, h, rooms), listen(t, h, feed.FromNewest), listen(t, h, feed.FromNow)
			run := func(d time.Duration) {
				for range int(d / time.Second) {
					user.run(500*time.Millisecond, nil)
					all.run(250 * time.Millisecond)
					now.run(250 * time.Millisecond)
				}
			}
			run(10 * time.Second)
			add(srv, rooms, 0, before)
			run(2 * time.Minute)
			wrong(srv)
			for i := range 120 {
				add(srv, rooms, before+i, 1)
				run(time.Second)
			}
			run(10 * time.Minute)
			for who, l := range map[string]*listener{"a user": &user.listener, "all": all, "all, from now": now} {
				assert.Len(t, l.news, before+120, who)
				for body, times := range l.news {
					assert.Equal(t, 1, times, "%s: %s", who, body)
				}
			}
		})
	})
}
