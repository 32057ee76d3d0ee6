package fliplettest_test

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// TestEverythingAtOnce writes, reads, pulls levers and looks inside from many
// goroutines; the race detector and the final count are the judges.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess(), fliplettest.WithSeed(5))
	const writers, rows = 8, 15
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rows {
				for r.send(fmt.Sprintf(`{"w":%d,"i":%d,"fromUserId":"a","readBy":["a"]}`, w, i)).status != 200 {
					continue // nothing was applied: try again
				}
				r.poll(`,"includeDeleted":true,"order":[["updatedAt","ASC"],["id","ASC"]],"limit":20`)
			}
		})
	}
	stop := make(chan struct{})
	var meddling sync.WaitGroup
	for _, meddle := range []func(){
		func() { r.Sometimes(0.5, fliplettest.AnyWrite, fliplettest.Status(503)).Off() },
		func() { r.Next(1, fliplettest.AnyRead, fliplettest.Lag(time.Millisecond), fliplettest.Shuffle()) },
		func() { r.Next(1, fliplettest.Insert, fliplettest.VisibleAfter(time.Millisecond)) },
		func() { _, _, _ = r.String(), r.Pushes(), r.Requests() },
		func() { _, _, _ = r.Rows(r.conversation), r.Sources(), r.HookCalls() },
		func() { r.ShiftClock(time.Second); r.ShiftClock(-time.Second) },
	} {
		meddling.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					meddle()
					runtime.Gosched() // a spinning goroutine would keep the others waiting
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	meddling.Wait()
	stored := map[string]bool{}
	for _, row := range r.Rows(r.conversation) {
		stored[fmt.Sprint(row.Data["w"], " ", row.Data["i"])] = true
	}
	assert.Len(t, stored, writers*rows)
	assert.Len(t, r.Rows(r.conversation), writers*rows)
}

func TestHandlerServesOnItsOwn(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess(), fliplettest.WithMaxBody(100))
	w := httptest.NewRecorder()
	req := httptest.NewRequest("PUT", "/v1/data-sources/Talk/data", strings.NewReader(`{"a":"`+strings.Repeat("x", 100)+`"}`))
	req.Header.Set("Auth-token", r.Token)
	r.Handler().ServeHTTP(w, req)
	assert.Equal(t, 413, w.Code)
}

func TestSessionOfTheServersToken(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.SetSession(r.Rows(r.contacts)[0].ID)
	assert.Contains(t, r.do("GET", "/v1/session", "").body, `"entries":{"dataSource":{"data":{"flUserId":"a"`)
	r.SetSession(0)
	assert.Contains(t, r.do("GET", "/v1/session", "").body, `"entries":{}`)
	r.RevokeToken(r.Token)
	assert.Panics(t, func() { r.SetSession(0) })
}
