package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// Shutdown lets what runs come to its end. With a deadline it gives up in time.
func ExampleChat_Shutdown() {
	s := newStage()
	defer s.close()
	s.talk("hello")
	started := make(chan struct{})
	_, err := s.bob.Stream(context.Background(), func(m *chat.Message) {
		close(started)
		time.Sleep(10 * time.Millisecond)
		fmt.Println("handled", m.Body)
	})
	if err != nil {
		log.Fatal(err)
	}
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.bob.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("nothing runs any more")
	// Output:
	// handled hello
	// nothing runs any more
}

// A message that fails is tried again, before anything behind it.
func ExampleMaxAttempts() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("poison", "fine")
	err := s.bob.Consume(ctx, "example", func(_ context.Context, m *chat.Message) error {
		fmt.Println("try", m.Body)
		if m.Body == "poison" {
			return errors.New("cannot")
		}
		stop()
		return nil
	}, chat.MaxAttempts(3), chat.RetryBackoff(time.Millisecond, time.Second),
		chat.DeadLetter(func(context.Context, *chat.Message, error) error { return nil }))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// try poison
	// try poison
	// try poison
	// try fine
	// true
}

// What is out of order for a moment is tried again soon at first.
func ExampleRetryBackoff() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("hello")
	attempt := 0
	err := s.bob.Consume(ctx, "example", func(_ context.Context, m *chat.Message) error {
		if attempt++; attempt < 4 {
			return errors.New("not yet")
		}
		fmt.Println("attempt", attempt, m.Body)
		stop()
		return nil
	}, chat.RetryBackoff(time.Millisecond, 8*time.Millisecond))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// attempt 4 hello
	// true
}

func ExampleGapKind_String() {
	fmt.Println(chat.GapHistory)
	// Output: history
}
