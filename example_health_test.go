package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// What a readiness probe or a page for operators asks.
func ExampleChat_Health() {
	s := newStage()
	defer s.close()
	if _, err := s.jane.Stream(context.Background(), func(*chat.Message) {}); err != nil {
		fmt.Println(err)
	}
	fmt.Println("polled:", s.jane.Poll(context.Background()) == nil)
	s.server.Always(fliplettest.AnyRoute, fliplettest.Status(http.StatusServiceUnavailable))
	_ = s.jane.Poll(context.Background())

	h := s.jane.Health()
	fmt.Println("listeners:", h.Listeners, "consumers:", len(h.Consumers), "to send:", h.Outbox)
	fmt.Println("failing:", h.FailedPolls > 0, "down:", errors.Is(h.LastError, chat.ErrOffline))
	fmt.Println("last poll within a minute:", time.Since(h.LastPoll) < time.Minute)
	// Output:
	// polled: true
	// listeners: 1 consumers: 0 to send: 0
	// failing: true down: true
	// last poll within a minute: true
}

// A token that is revoked ends the stream. Whatever fails before is told, too.
func ExampleOnError() {
	s := newStage()
	defer s.close()
	var once sync.Once // it takes a second of refusals
	sub, err := s.jane.Stream(context.Background(), func(*chat.Message) {}, chat.OnError(func(err error) {
		if errors.Is(err, chat.ErrUnauthorized) {
			once.Do(func() { fmt.Println("get a new token") })
		}
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	s.server.Always(fliplettest.AnyRoute, fliplettest.RefuseToken())
	<-sub.Done()
	fmt.Println(errors.Is(sub.Err(), chat.ErrUnauthorized))
	if err := s.jane.Shutdown(context.Background()); err != nil { // waits for the function
		fmt.Println(err)
	}
	// Unordered output:
	// get a new token
	// true
}

// An error that a function panicked with is in the chain.
func ExamplePanicError_Unwrap() {
	failed := fmt.Errorf("import: %w", context.DeadlineExceeded)
	var err error = &chat.PanicError{Value: failed}
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// The page is for operators only: here it is mounted on an address that only this machine
// can reach. Put it behind a login anywhere else.
func ExampleChat_DebugHandler() {
	s := newStage()
	defer s.close()
	if _, err := s.jane.Stream(context.Background(), func(*chat.Message) {}); err != nil {
		fmt.Println(err)
	}
	operators := http.NewServeMux()
	operators.Handle("/debug/chat", s.jane.DebugHandler()) // http.ListenAndServe("127.0.0.1:6060", operators)

	w := httptest.NewRecorder()
	operators.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/chat?format=json", nil))
	var page struct{ Listeners []struct{ Kind string } }
	err := json.Unmarshal(w.Body.Bytes(), &page)
	fmt.Println(w.Code, page.Listeners[0].Kind, err)
	// Output: 200 stream <nil>
}
