package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// Each person has a Chat, and what is new is read for all together.
func ExampleApp_User() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	ctx := context.Background()
	app, err := chat.OpenApp(ctx, chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close() //nolint:errcheck // it does not fail
	jane, err := app.User(ctx, chat.M{"Email": "jane@x.com"})
	if err != nil {
		log.Fatal(err)
	}
	defer jane.Close() //nolint:errcheck // it does not fail
	bob, err := app.User(ctx, chat.M{"Email": "bob@x.com"})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close() //nolint:errcheck // it does not fail
	got := make(chan string)
	if _, err := bob.Stream(ctx, func(m *chat.Message) { got <- m.Body }, chat.StartAt(chat.FromNow)); err != nil {
		log.Fatal(err)
	}
	if _, err := jane.Message(ctx, room, chat.Draft{Body: "hello"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-got)
	// Output: hello
}

// A moderator sees all conversations without being in them. A web hook rings, so that
// messages come within a second.
func ExampleApp_Stream() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	ctx := context.Background()
	app, err := chat.OpenApp(ctx, chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}, Bell: true})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close() //nolint:errcheck // it does not fail
	got := make(chan string)
	if _, err := app.Stream(ctx, func(m *chat.Message) { got <- m.Body }); err != nil {
		log.Fatal(err)
	}
	srv.AddRows(room, chat.M{"body": "for jane", "fromUserId": "bob"})
	hook := httptest.NewRequest(http.MethodPost, fmt.Sprint("/bell?conversation=", room), nil)
	app.Bell().ServeHTTP(httptest.NewRecorder(), hook)
	fmt.Println(<-got)
	// Output: for jane
}

// One process serves everybody with one client.
func ExampleOpenApp() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app, err := chat.OpenApp(context.Background(), chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close() //nolint:errcheck // it does not fail
	for _, email := range []string{"jane@x.com", "bob@x.com"} {
		c, err := app.User(context.Background(), chat.M{"Email": email})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c.User().UserID)
	}
	// Output:
	// jane
	// bob
}

// The endpoint of a conversation's web hook has its id; nobody needs to be believed.
func ExampleApp_Bell() {
	srv, contacts, room := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app, err := chat.OpenApp(context.Background(), chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}, Bell: true})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close() //nolint:errcheck // it does not fail
	answer := httptest.NewRecorder()
	app.Bell().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, fmt.Sprint("/bell?conversation=", room), nil))
	fmt.Println(answer.Code)
	// Output: 204
}

// Close ends the streams of an App.
func ExampleApp_Close() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app, err := chat.OpenApp(context.Background(), chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}})
	if err != nil {
		log.Fatal(err)
	}
	sub, err := app.Stream(context.Background(), func(*chat.Message) {})
	if err != nil {
		log.Fatal(err)
	}
	if err := app.Close(); err != nil {
		log.Fatal(err)
	}
	<-sub.Done()
	fmt.Println("over")
	// Output: over
}

// stageOfAnApp is a local Fliplet with two people in a conversation.
func stageOfAnApp() (srv *fliplettest.Server, contacts, room int64) {
	srv, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	contacts, _ = srv.AddContacts(
		chat.M{"Email": "jane@x.com", "flUserId": "jane", "flUserToken": "token-jane"},
		chat.M{"Email": "bob@x.com", "flUserId": "bob", "flUserToken": "token-bob"},
	)
	room = srv.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": []string{"jane", "bob"}}})
	return srv, contacts, room
}

// What a page for operators shows of an App. Without a Strategy it chooses the best that works,
// and Why says what does not.
func ExampleApp_Health() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app, err := chat.OpenApp(context.Background(), chat.AppOptions{
		Options:  chat.Options{Client: srv.Client(), DataSourceID: contacts},
		Strategy: chat.StrategyList,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close() //nolint:errcheck // it does not fail
	h := app.Health()
	fmt.Printf("%s, since %s; failing: %t\n", h.Strategy, h.Why, h.Err != nil)
	// Output: list, since it was asked for; failing: false
}

// The page of an App is mounted like that of a Chat, for operators only.
func ExampleApp_DebugHandler() {
	srv, contacts, _ := stageOfAnApp()
	defer srv.Close() //nolint:errcheck // the example is over
	app, err := chat.OpenApp(context.Background(), chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close() //nolint:errcheck // it does not fail
	if _, err := app.Stream(context.Background(), func(*chat.Message) {}); err != nil {
		log.Fatal(err)
	}
	operators := http.NewServeMux()
	operators.Handle("/debug/app", app.DebugHandler()) // http.ListenAndServe("127.0.0.1:6060", operators)

	w := httptest.NewRecorder()
	operators.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/app?format=json", nil))
	var page struct{ Listeners []struct{ Kind string } }
	err = json.Unmarshal(w.Body.Bytes(), &page)
	fmt.Println(w.Code, page.Listeners[0].Kind, err)
	// Output: 200 stream <nil>
}
