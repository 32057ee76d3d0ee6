package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// lookAgain is the pause between two looks at how far the consumer is.
const lookAgain = 50 * time.Millisecond

// upToDate returns nil when the consumer has handled everything that was there when it was
// called, or the context's cause. It is up to date when a poll that began with nothing left to do has brought
// nothing: whatever was there before that poll is written then.
func (e *exporter) upToDate(ctx context.Context) error {
	var away time.Time // since when polls fail
	for {
		handled := e.handled.Load()
		if e.idle() && e.chat.Poll(ctx) == nil && e.idle() && e.handled.Load() == handled {
			return nil
		}
		e.tell()
		switch h := e.chat.Health(); {
		case h.FailedPolls == 0:
			away = time.Time{}
		case away.IsZero():
			away = time.Now()
		case time.Since(away) > e.Patience:
			return fmt.Errorf("the service was away for %v: %w", e.Patience, h.LastError)
		}
		t := time.NewTimer(lookAgain)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// debugState is what is read of the Chat's own page about itself.
type debugState struct {
	Listeners []struct {
		Consumer, Doing      string
		Queued, Aside        int
		Busy, Behind, Parked bool
	}
	Consumers []struct {
		Receiving    bool
		Lag, Failing int
		Storage      string
	}
}

// idle reports whether the consumer takes part in polls and has nothing left to do.
func (e *exporter) idle() bool {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/?format=json", http.NoBody)
	if err != nil {
		return false
	}
	w := &answer{header: http.Header{}}
	e.chat.DebugHandler().ServeHTTP(w, r)
	var s debugState
	if json.Unmarshal(w.Bytes(), &s) != nil || len(s.Listeners) != 1 || len(s.Consumers) != 1 {
		return false
	}
	l, c := s.Listeners[0], s.Consumers[0]
	return l.Doing == "following" && l.Queued == 0 && l.Aside == 0 && !l.Busy && !l.Behind && !l.Parked &&
		c.Receiving && c.Lag == 0 && c.Failing == 0 && c.Storage == ""
}

// answer keeps an answer in memory.
type answer struct {
	bytes.Buffer
	header http.Header
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(int)     {}
