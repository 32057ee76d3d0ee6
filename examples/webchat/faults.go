package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// faults are where the sliders stand. Shares are in percent, of requests.
type faults struct {
	Lose    int    `json:"lose"`    // half of them before, half after they were served
	Double  int    `json:"double"`  // served two times
	Delay   int    `json:"delay"`   // ms, at most
	TooMany int    `json:"tooMany"` // refused with 429
	Where   string `json:"where"`   // fliplet, page or both
}

func (f faults) check() error {
	for name, n := range map[string]int{"lose": f.Lose, "double": f.Double, "tooMany": f.TooMany} {
		if n < 0 || n > 50 {
			return fmt.Errorf("%s: %d; give 0 to 50 percent", name, n)
		}
	}
	if f.Delay < 0 || f.Delay > 2000 {
		return fmt.Errorf("delay: %d; give 0 to 2000 ms", f.Delay)
	}
	if f.Where != "fliplet" && f.Where != "page" && f.Where != "both" {
		return fmt.Errorf("where: %q; give fliplet, page or both", f.Where)
	}
	return nil
}

// pull sets the levers of the local Fliplet.
func (f faults) pull(s *fliplettest.Server) {
	s.Release()
	if f.Where == "page" {
		return
	}
	share := func(percent int, route fliplettest.Route, fault ...fliplettest.Fault) {
		if percent > 0 {
			s.Sometimes(float64(percent)/100, route, fault...)
		}
	}
	if f.Lose > 0 {
		s.Sometimes(float64(f.Lose)/200, fliplettest.AnyRoute, fliplettest.LoseRequest())
		s.Sometimes(float64(f.Lose)/200, fliplettest.AnyRoute, fliplettest.LoseAnswer())
	}
	share(f.Double, fliplettest.Insert, fliplettest.Twice())
	share(f.Double, fliplettest.Update, fliplettest.Twice())
	share(f.Double, fliplettest.AnyRead, fliplettest.DuplicateRow())
	share(f.TooMany, fliplettest.AnyRoute, fliplettest.TooMany(300*time.Millisecond))
	if f.Delay > 0 {
		most := time.Duration(f.Delay) * time.Millisecond
		s.Always(fliplettest.AnyRoute, fliplettest.Delay(most/4))
		s.Sometimes(0.5, fliplettest.AnyRoute, fliplettest.Delay(most/2))
		s.Sometimes(0.25, fliplettest.AnyRoute, fliplettest.Delay(most))
	}
}

// wire is the network between the pages and the server.
type wire struct {
	mu     sync.Mutex
	faults faults
}

func (w *wire) set(f faults) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = f
}

func (w *wire) now() faults {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults.Where == "fliplet" {
		return faults{}
	}
	return w.faults
}

func hit(percent int) bool { return percent > 0 && rand.IntN(100) < percent } //nolint:gosec // a fault, no secret

// longestRepeated is what a body may have to be sent twice; larger ones go once.
const longestRepeated = 8 << 20

// around lets requests pass as well as the network does.
func (w *wire) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		f := w.now()
		if f.Delay > 0 {
			select {
			case <-time.After(time.Duration(rand.IntN(f.Delay+1)) * time.Millisecond): //nolint:gosec // a fault, no secret
			case <-r.Context().Done():
				return
			}
		}
		if hit(f.TooMany) {
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(rw).Encode(map[string]any{"code": 429, "status": 429, "message": "too many requests"})
			return
		}
		if strings.HasSuffix(r.URL.Path, "/stream") {
			w.stream(rw, r, next)
			return
		}
		before, after := hit(f.Lose/2), hit(f.Lose-f.Lose/2)
		if before {
			panic(http.ErrAbortHandler)
		}
		if hit(f.Double) && doubles(r) {
			body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, longestRepeated))
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			first := r.Clone(r.Context())
			first.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(&unheard{}, first)
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		if after {
			next.ServeHTTP(&unheard{}, r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(rw, r)
	})
}

// doubles tells requests that are repeated from those that mean two things when they come
// twice: no client of this page repeats them by itself, and a new channel has no name of its own.
func doubles(r *http.Request) bool {
	return r.Method == http.MethodPost && r.ContentLength >= 0 && r.ContentLength < longestRepeated && !strings.HasSuffix(r.URL.Path, "/channels.create")
}

// stream cuts a stream after a while, the sooner the more is lost.
func (w *wire) stream(rw http.ResponseWriter, r *http.Request, next http.Handler) {
	out := &cuttable{ResponseWriter: rw}
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if hit(w.now().Lose) && hit(40) {
					out.cut()
				}
			case <-done:
				return
			}
		}
	}()
	next.ServeHTTP(out, r)
}

// cuttable is an answer that can break off.
type cuttable struct {
	http.ResponseWriter
	mu  sync.Mutex
	off bool
}

var errCut = errors.New("the connection was cut")

func (c *cuttable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	// What is read or written from now on fails at once.
	_ = http.NewResponseController(c.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
	_ = http.NewResponseController(c.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
}

func (c *cuttable) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return 0, errCut
	}
	return c.ResponseWriter.Write(b)
}

func (c *cuttable) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// unheard is an answer that nobody gets.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header {
	if u.header == nil {
		u.header = http.Header{}
	}
	return u.header
}
func (*unheard) Write(b []byte) (int, error) { return len(b), nil }
func (*unheard) WriteHeader(int)             {}
