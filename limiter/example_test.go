package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/limiter"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// A replica of three, of which one may be replaced at a time.
func ExampleNew() {
	store := storage.NewMemory() // one that all replicas reach, such as a database
	shared, err := limiter.New(store, "limit/my-app", 200, 10*time.Second, limiter.Options{
		Replicas: 4,
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		panic(err)
	}
	defer shared.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--token", Limiter: shared})
	if err != nil {
		panic(err)
	}
	fmt.Println(client.LimiterErr())
	// Output: <nil>
}

// Without the store each replica has its fallback, here a tenth of the limit for all four together.
func ExampleLimiter_Err() {
	told := make(chan error, 1)
	shared, err := limiter.New(unreachable{storage.NewMemory()}, "limit/my-app", 200, 20*time.Millisecond, limiter.Options{
		OnChange: func(err error) { told <- err },
	})
	if err != nil {
		panic(err)
	}
	defer shared.Close()
	fmt.Println(<-told)
	fmt.Println(errors.Is(shared.Err(), datasource.ErrImpaired))
	// Output:
	// limiter: this replica starts at most 5 requests per 20ms: storage: no route to the store
	// true
}

type unreachable struct{ storage.Store }

func (unreachable) Get(context.Context, string) ([]byte, error) {
	return nil, errors.New("no route to the store")
}

// How many replicas share the limit, and how many requests this one may start: only the fallback at first, since nobody
// knows yet who was there before the first record.
func ExampleLimiter_Replicas() {
	shared, err := limiter.New(storage.NewMemory(), "limit/my-app", 200, 20*time.Millisecond, limiter.Options{Lease: time.Hour})
	if err != nil {
		panic(err)
	}
	_ = shared.Wait(context.Background())
	for shared.Replicas() == 0 { // the record is not written yet
		time.Sleep(time.Millisecond)
	}
	_, of, _ := shared.Load()
	fmt.Println(shared.Replicas(), "replica, at most", of, "requests")
	fmt.Println(shared.Close())
	// Output:
	// 1 replica, at most 5 requests
	// <nil>
}
