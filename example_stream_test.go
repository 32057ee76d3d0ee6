package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// poll looks for messages now; left alone, a stream does so by itself.
func poll(c *chat.Chat) {
	if err := c.Poll(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// Check IsDeleted first, then IsUpdate.
func ExampleChat_Stream() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	sub, err := s.bob.Stream(ctx, func(m *chat.Message) {
		switch {
		case m.IsDeleted:
			fmt.Println("deleted")
		case m.IsUpdate:
			fmt.Println("changed:", m.Body)
		default:
			fmt.Println("new:", m.Body)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Stop()

	conv := s.talk()
	m, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "helo"})
	if err != nil {
		log.Fatal(err)
	}
	poll(s.bob)
	if _, err := s.jane.UpdateMessage(ctx, conv.ID, m.ID, chat.M{"body": "hello", "isEdited": true}); err != nil {
		log.Fatal(err)
	}
	poll(s.bob)
	if err := s.jane.DeleteMessage(ctx, conv.ID, m.ID); err != nil {
		log.Fatal(err)
	}
	poll(s.bob)
	// Output:
	// new: helo
	// changed: hello
	// deleted
}

// The same messages in a range loop. Leaving the loop ends the stream.
func ExampleChat_Events() {
	s := newStage()
	defer s.close()
	s.talk("one", "two", "that's all")
	for m, err := range s.bob.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Body)
		if m.Body == "that's all" {
			break
		}
	}
	// Output:
	// one
	// two
	// that's all
}

// A consumer goes on where it stopped, also in another process if the Storage of
// its Chat is a file. A message counts as done when the function returned nil.
func ExampleChat_Consume() {
	s := newStage()
	defer s.close()
	archive := func(until string) error {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		return s.bob.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
			fmt.Println(m.Body)
			if m.Body == until {
				stop()
			}
			return nil
		}, chat.StartAt(chat.FromBeginning)) // an archive is to have everything
	}
	s.talk("one", "two")
	fmt.Println(errors.Is(archive("two"), context.Canceled))
	s.talk("three")
	fmt.Println(errors.Is(archive("three"), context.Canceled))
	// Output:
	// one
	// two
	// true
	// three
	// true
}

// A message that cannot be handled goes to DeadLetter in the end, and the consumer
// continues with the next one.
func ExampleDeadLetter() {
	s := newStage()
	defer s.close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.talk("forty-two", "43")
	aside := chat.DeadLetter(func(_ context.Context, m *chat.Message, err error) error {
		fmt.Printf("gave up on %q: %v\n", m.Body, err)
		return nil
	})
	err := s.bob.Consume(ctx, "sum", func(_ context.Context, m *chat.Message) error {
		n, err := strconv.Atoi(m.Body)
		if err != nil {
			return errors.New("no number")
		}
		fmt.Println("got", n)
		stop()
		return nil
	}, chat.MaxAttempts(2), chat.RetryBackoff(time.Millisecond, time.Second), aside)
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// gave up on "forty-two": no number
	// got 43
	// true
}

// Poll returns when what it found has been delivered.
func ExampleChat_Poll() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	var got int
	if _, err := s.bob.Stream(ctx, func(*chat.Message) { got++ }); err != nil {
		log.Fatal(err)
	}
	s.talk("one", "two")
	if err := s.bob.Poll(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(got)
	// Output: 2
}

// Reset delivers the newest messages again.
func ExampleReset() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.talk("hello")
	_, err := s.bob.Stream(ctx, func(m *chat.Message) { fmt.Println(m.Body, m.IsUpdate, m.IsReplay) })
	if err != nil {
		log.Fatal(err)
	}
	poll(s.bob)
	if err := s.bob.Poll(ctx, chat.Reset()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello false false
	// hello false true
}

// A stream delivers only the newest page of a conversation that the user joins. OnGap
// reports what it left out.
func ExampleGap() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv, err := s.jane.Create(ctx, chat.NewConversation{Participants: []int64{s.bobID}})
	if err != nil {
		log.Fatal(err)
	}
	large := s.server.AddRows(conv.ID, chat.M{"body": strings.Repeat("x", 2<<20)})[0]
	_, err = s.bob.Stream(ctx, func(m *chat.Message) { fmt.Println(m.Body) }, chat.OnGap(func(g chat.Gap) {
		fmt.Println(g.Kind, g.MessageID == large)
	}))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "behind it"}); err != nil {
		log.Fatal(err)
	}
	poll(s.bob)
	// Whoever asks for messages gets it with an error.
	msgs, err := s.bob.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(msgs[0].ID == large, errors.Is(msgs[0].Err, datasource.ErrRowLimit))
	// Output:
	// unreadable true
	// behind it
	// true true
}

func ExampleOnGap() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.server.ShiftClock(-time.Hour)
	old, err := s.jane.Create(ctx, chat.NewConversation{Participants: []int64{s.bobID}, AllowInvite: true})
	if err != nil {
		log.Fatal(err)
	}
	for i := range s.jane.BatchSize() + 1 {
		if _, err := s.jane.Message(ctx, old.ID, chat.Draft{Body: fmt.Sprint(i)}); err != nil {
			log.Fatal(err)
		}
	}
	s.server.ShiftClock(time.Hour)
	hello, err := s.bob.Create(ctx, chat.NewConversation{Participants: []int64{s.eveID}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.bob.Message(ctx, hello.ID, chat.Draft{Body: "Hello Eve"}); err != nil {
		log.Fatal(err)
	}

	got := 0
	_, err = s.eve.Stream(ctx, func(*chat.Message) { got++ }, chat.OnGap(func(g chat.Gap) {
		fmt.Println(g.Kind, g.ConversationID == old.ID, g.Reason)
	}))
	if err != nil {
		log.Fatal(err)
	}
	poll(s.eve)
	code, err := old.InviteCode(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.eve.JoinConversation(ctx, code); err != nil {
		log.Fatal(err)
	}
	poll(s.eve)
	fmt.Println(got)
	// Output:
	// history true older history of a joined conversation was not loaded
	// 201
}

// A bot that was added to a conversation reads what was said before.
func ExampleChat_Fill() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.server.ShiftClock(-time.Hour)
	conv, err := s.jane.Create(ctx, chat.NewConversation{Participants: []int64{s.bobID}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "before"}); err != nil {
		log.Fatal(err)
	}
	s.server.ShiftClock(time.Hour)
	_, err = s.eve.Stream(ctx, func(m *chat.Message) { fmt.Println("new:", m.Body) }, chat.StartAt(chat.FromNow), chat.OnGap(func(g chat.Gap) {
		for m, err := range s.eve.Fill(ctx, g) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println("filled:", m.Body)
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	poll(s.eve)
	if err := conv.Participants().Add(ctx, s.eveID); err != nil {
		log.Fatal(err)
	}
	if _, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "Hello Eve"}); err != nil {
		log.Fatal(err)
	}
	poll(s.eve)
	// Output:
	// filled: before
	// new: Hello Eve
}

func ExampleWithoutReadMarks() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	_, err := s.jane.Stream(ctx, func(m *chat.Message) { fmt.Printf("%s: %q\n", m.Body, m.Change) }, chat.WithoutReadMarks())
	if err != nil {
		log.Fatal(err)
	}
	m, err := s.jane.Message(ctx, s.talk().ID, chat.Draft{Body: "hello"})
	if err != nil {
		log.Fatal(err)
	}
	poll(s.jane)
	if err := s.bob.MarkMessagesAsRead(ctx, m); err != nil {
		log.Fatal(err)
	}
	poll(s.jane)
	if _, err := s.jane.UpdateMessage(ctx, m.ConversationID, m.ID, chat.M{"body": "hello, Bob"}); err != nil {
		log.Fatal(err)
	}
	poll(s.jane)
	// Output:
	// hello: ""
	// hello, Bob: "body"
}

func ExampleChange_Has() {
	change := chat.ChangedBody | chat.ChangedReaders
	fmt.Println(change.Has(chat.ChangedBody), change.Has(chat.ChangedFiles))
	// Output: true false
}

func ExampleChange_String() {
	fmt.Println(chat.ChangedBody | chat.ChangedReaders)
	// Output: body+readers
}

func ExampleGap_String() {
	fmt.Println(chat.Gap{ConversationID: 3, Before: time.Date(2026, 2, 1, 8, 2, 0, 0, time.UTC), Reason: "not loaded"})
	// Output: gap in conversation 3 before 2026-02-01T08:02:00.000Z: not loaded
}

// Stop may be called from inside the function.
func ExampleSubscription_Stop() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.talk("one", "two", "three")
	start := make(chan *chat.Subscription, 1)
	sub, err := s.bob.Stream(ctx, func(m *chat.Message) {
		fmt.Println(m.Body)
		(<-start).Stop()
	})
	if err != nil {
		log.Fatal(err)
	}
	start <- sub
	<-sub.Done()
	// Output: one
}

func ExampleSubscription_Done() {
	s := newStage()
	defer s.close()
	ctx, cancel := context.WithCancel(context.Background())
	sub, err := s.bob.Stream(ctx, func(*chat.Message) {})
	if err != nil {
		log.Fatal(err)
	}
	cancel()     // the stream lasts as long as its context
	<-sub.Done() // its function runs no more
	fmt.Println(errors.Is(sub.Err(), context.Canceled))
	// Output: true
}

func ExampleSubscription_Err() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	sub, err := s.bob.Stream(ctx, func(*chat.Message) {})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sub.Err())
	if err := s.bob.Logout(ctx); err != nil {
		log.Fatal(err)
	}
	<-sub.Done()
	fmt.Println(errors.Is(sub.Err(), chat.ErrNotLoggedIn))
	// Output:
	// <nil>
	// true
}

// The value of a panic may hold a message, so it prints nowhere by itself; the
// fields have it.
func ExamplePanicError_Format() {
	fmt.Printf("%+v\n", &chat.PanicError{Value: "secret"})
	// Output: stream function panicked with a string
}

func ExamplePanicError_MarshalText() {
	text, err := (&chat.PanicError{Value: "secret"}).MarshalText()
	fmt.Println(string(text), err)
	// Output: stream function panicked with a string <nil>
}

// A stream can leave history out.
func ExampleStartAt() {
	s := newStage()
	defer s.close()
	s.talk("before")
	_, err := s.bob.Stream(context.Background(), func(m *chat.Message) { fmt.Println(m.Body) }, chat.StartAt(chat.FromNow))
	if err != nil {
		log.Fatal(err)
	}
	poll(s.bob)
	s.talk("after")
	poll(s.bob)
	// Output: after
}

// A function that panics ends its own stream and nothing else.
func ExamplePanicError_Error() {
	s := newStage()
	defer s.close()
	s.talk("hello")
	sub, err := s.bob.Stream(context.Background(), func(*chat.Message) { panic("bug") })
	if err != nil {
		log.Fatal(err)
	}
	<-sub.Done()
	fmt.Println(sub.Err())
	// Output: chat: stream: stream function panicked with a string
}
