package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// openExampleApp opens an App with everything kept in store.
func openExampleApp(srv *fliplettest.Server, contacts int64, store storage.Store) *chat.App {
	app, err := chat.OpenApp(context.Background(), chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts, Storage: store}})
	if err != nil {
		log.Fatal(err)
	}
	return app
}

// An archive has every message of the app once, however often it is restarted. Its position is
// in Storage.
func ExampleApp_Consume() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	store := storage.NewMemory()
	for _, body := range []string{"before", "while it was down"} {
		srv.AddRows(room, chat.M{"body": body, "fromUserId": "bob"})
		app := openExampleApp(srv, contacts, store)
		ctx, stop := context.WithCancel(context.Background())
		err := app.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
			fmt.Println(m.Body)
			stop() // the end of this process
			return nil
		}, chat.StartAt(chat.FromBeginning))
		if !errors.Is(err, context.Canceled) {
			log.Fatal(err)
		}
		if err := app.Shutdown(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// before
	// while it was down
}

// A loop over everything that is said in the app, from the first message on.
func ExampleApp_Events() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	srv.AddRows(room, chat.M{"body": "for jane", "fromUserId": "bob"})
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	for m, err := range app.Events(context.Background(), chat.StartAt(chat.FromBeginning)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.FromUserID, m.Body)
		break
	}
	// Output: bob for jane
}

// Every conversation of the app, with who is in it.
func ExampleApp_Conversations() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	list, err := app.Conversations(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, conv := range list {
		fmt.Println(conv.Participants().IDs())
	}
	// Output: [jane bob]
}

// One message of a conversation that nobody of this process is in.
func ExampleApp_Conversation() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	ids := srv.AddRows(room, chat.M{"body": "hello", "fromUserId": "bob"})
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	ctx := context.Background()
	conv, err := app.Conversation(ctx, room)
	if err != nil {
		log.Fatal(err)
	}
	m, err := conv.Messages().Get(ctx, ids[0])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Body)
	// Output: hello
}

// A moderator masks a word wherever it is said.
func ExampleApp_UpdateMessage() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	srv.AddRows(room, chat.M{"body": "damn, it works", "fromUserId": "bob"})
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	ctx := context.Background()
	for m, err := range app.Events(ctx, chat.StartAt(chat.FromBeginning)) {
		if err != nil {
			log.Fatal(err)
		}
		m, err = app.UpdateMessage(ctx, m.ConversationID, m.ID, chat.M{"body": strings.ReplaceAll(m.Body, "damn", "****"), "isEdited": true})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.FromUserID, m.Body)
		break
	}
	// Output: bob ****, it works
}

// A message is deleted for everybody.
func ExampleApp_DeleteMessage() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	ids := srv.AddRows(room, chat.M{"body": "win at our casino", "fromUserId": "bob"})
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	ctx := context.Background()
	if err := app.DeleteMessage(ctx, room, ids[0]); err != nil {
		log.Fatal(err)
	}
	err := app.DeleteMessage(ctx, room, ids[0])
	fmt.Println(errors.Is(err, chat.ErrNotFound))
	// Output: true
}

// Older messages of a conversation that nobody of this process is in.
func ExampleApp_History() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	srv.AddRows(room, chat.M{"body": "one", "fromUserId": "bob"}, chat.M{"body": "two", "fromUserId": "jane"})
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	for m, err := range app.History(context.Background(), room) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Body)
	}
	// Output:
	// two
	// one
}

// A relay writes what people have said elsewhere.
func ExampleApp_Send() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	for _, said := range []struct{ email, text string }{{"jane@x.com", "hello"}, {"bob@x.com", "hi"}, {"jane@x.com", "how are you?"}} {
		m, err := app.Send(context.Background(), chat.M{"Email": said.email}, room, chat.Draft{Body: said.text})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.FromUserID, m.Body)
	}
	// Output:
	// jane hello
	// bob hi
	// jane how are you?
}

// Shutdown waits for what runs, of the users, too.
func ExampleApp_Shutdown() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app := openExampleApp(srv, contacts, nil)
	jane, err := app.User(context.Background(), chat.M{"Email": "jane@x.com"})
	if err != nil {
		log.Fatal(err)
	}
	if err := app.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	_, err = jane.Conversations(context.Background())
	fmt.Println(errors.Is(err, chat.ErrClosed))
	// Output: true
}

// Each conversation gets a web hook that leads to App.Bell, and keeps those that it has.
func ExampleApp_InstallBell() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	for range 2 {
		n, err := app.InstallBell(context.Background(), "http://localhost:8080/bell")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("changed:", n)
	}
	// Output:
	// changed: 1
	// changed: 0
}

// RemoveBell takes the hooks of a URL out again.
func ExampleApp_RemoveBell() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	ctx := context.Background()
	if _, err := app.InstallBell(ctx, "http://localhost:8080/bell", room); err != nil {
		log.Fatal(err)
	}
	n, err := app.RemoveBell(ctx, "http://localhost:8080/bell")
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// A listener to some conversations.
func ExampleOnly() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	other := srv.AddDataSource(chat.M{"name": "other", "type": "conversation", "definition": chat.M{"participants": []string{"jane"}}})
	srv.AddRows(other, chat.M{"body": "to herself", "fromUserId": "jane"})
	srv.AddRows(room, chat.M{"body": "for bob", "fromUserId": "jane"})
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	for m, err := range app.Events(context.Background(), chat.Only(room), chat.StartAt(chat.FromBeginning)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Body)
		break
	}
	// Output: for bob
}

// A listener to the conversations that somebody is in.
func ExampleOnlyIf() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	other := srv.AddDataSource(chat.M{"name": "other", "type": "conversation", "definition": chat.M{"participants": []string{"jane"}}})
	srv.AddRows(other, chat.M{"body": "to herself", "fromUserId": "jane"})
	srv.AddRows(room, chat.M{"body": "for bob", "fromUserId": "jane"})
	app := openExampleApp(srv, contacts, nil)
	defer app.Close() //nolint:errcheck // it does not fail
	groups := chat.OnlyIf(func(v *chat.Conversation) bool { return v.NParticipants > 1 })
	for m, err := range app.Events(context.Background(), groups, chat.StartAt(chat.FromBeginning)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Body)
		break
	}
	// Output: for bob
}

// The Options of a relay: a Storage that survives, and an outbox over it.
func openRelay(srv *fliplettest.Server, contacts int64, store storage.Store) *chat.App {
	app, err := chat.OpenApp(context.Background(), chat.AppOptions{Options: chat.Options{
		Client: srv.Client(), DataSourceID: contacts, Storage: store, Outbox: &chat.OutboxOptions{},
	}})
	if err != nil {
		log.Fatal(err)
	}
	return app
}

// Queue accepts a message, and Flush waits until all are sent.
func ExampleApp_Queue() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app := openRelay(srv, contacts, storage.NewMemory())
	defer app.Close() //nolint:errcheck // it does not fail
	ctx := context.Background()
	guid, err := app.Queue(ctx, chat.M{"flUserId": "jane"}, room, chat.Draft{Body: "hello", GUID: "request-1"})
	if err != nil {
		log.Fatal(err)
	}
	if err := app.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(guid, len(srv.Rows(room)))
	// Output: request-1 1
}

// Flush returns when nothing waits.
func ExampleApp_Flush() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app := openRelay(srv, contacts, storage.NewMemory())
	defer app.Close() //nolint:errcheck // it does not fail
	fmt.Println(app.Flush(context.Background()))
	// Output: <nil>
}

// Resume sends what a process before has left behind, and logs in nobody else.
func ExampleApp_Resume() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	ctx, store := context.Background(), storage.NewMemory()
	down := srv.Always(fliplettest.Insert, fliplettest.TooMany(0))
	first := openRelay(srv, contacts, store)
	if _, err := first.Queue(ctx, chat.M{"flUserId": "jane"}, room, chat.Draft{Body: "hello"}); err != nil {
		log.Fatal(err)
	}
	if err := first.Close(); err != nil {
		log.Fatal(err)
	}
	down.Off()
	second := openRelay(srv, contacts, store)
	defer second.Close() //nolint:errcheck // it does not fail
	people, err := second.Resume(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := second.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(people, len(srv.Rows(room)))
	// Output: 1 1
}
