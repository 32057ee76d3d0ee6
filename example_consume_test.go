package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// Messages of several conversations are handled at the same time, those of one
// conversation in order. Here one waits for the other conversation's.
func ExampleParallel() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("a question that takes long")
	quick, err := s.jane.Create(ctx, chat.NewConversation{Participants: []int64{s.bobID, s.eveID}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.jane.Message(ctx, quick.ID, chat.Draft{Body: "a quick one"}); err != nil {
		log.Fatal(err)
	}
	answered := make(chan struct{})
	err = s.bob.Consume(ctx, "bot", func(_ context.Context, m *chat.Message) error {
		if m.ConversationID == quick.ID {
			fmt.Println(m.Body)
			close(answered)
			return nil
		}
		<-answered
		fmt.Println(m.Body)
		stop()
		return nil
	}, chat.Parallel(2))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// a quick one
	// a question that takes long
	// true
}

// A program that is asked to end, as by the signal of os/signal, has not failed.
func ExampleUntilDone() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("good night")
	fmt.Println(s.bob.Consume(ctx, "bot", func(_ context.Context, m *chat.Message) error {
		fmt.Println(m.Body)
		stop()
		return nil
	}, chat.UntilDone()))
	// Output:
	// good night
	// <nil>
}

// What waits is handled in one transaction of Storage, up to three messages here: with
// sqlstore, the rows of all three and the position are committed together.
func ExampleBatch() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("one", "two", "three")
	err := s.bob.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
		fmt.Println("archiving", m.Body)
		if m.Body == "three" {
			stop()
		}
		return nil
	}, chat.Batch(3))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// archiving one
	// archiving two
	// archiving three
	// true
}

// A bot that shows the state of things needs the newest message only. What came
// before it, while the bot was busy or away, is acknowledged without a call.
func ExamplePerConversation() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("version 1", "version 2", "version 3")
	err := s.bob.Consume(ctx, "deploy", func(_ context.Context, m *chat.Message) error {
		fmt.Println("deploying", m.Body)
		stop()
		return nil
	}, chat.PerConversation(chat.Latest))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// deploying version 3
	// true
}

// People write several messages in a row. A bot answers when they have finished.
func ExampleDebounce() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("hi", "I have a question", "where is the canteen?")
	err := s.bob.Consume(ctx, "bot", func(_ context.Context, m *chat.Message) error {
		fmt.Println("answering", m.Body)
		stop()
		return nil
	}, chat.PerConversation(chat.Debounce(50*time.Millisecond)))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// answering where is the canteen?
	// true
}

// What no other attempt would change need not be tried again.
func ExamplePermanent() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("forty-two", "43")
	errNumber := errors.New("no number")
	err := s.bob.Consume(ctx, "bot", func(_ context.Context, m *chat.Message) error {
		n, err := strconv.Atoi(m.Body)
		if err != nil {
			return chat.Permanent(errNumber)
		}
		fmt.Println("got", n)
		stop()
		return nil
	}, chat.DeadLetter(func(_ context.Context, _ *chat.Message, err error) error {
		fmt.Println("gave up:", err, errors.Is(err, errNumber))
		return nil
	}))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// gave up: no number true
	// got 43
	// true
}
