package unanswered_test

import (
	"context"
	"fmt"
	"log"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/unanswered"
)

// hotline is an app in which Ann waits for an answer of Kim, and Cem has got one.
func hotline() (srv *fliplettest.Server, app *chat.App) {
	srv, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	contacts, _ := srv.AddContacts(chat.M{"Email": "kim@x.com", "flUserId": "kim"})
	for _, said := range [][]chat.M{
		{{"body": "My badge does not work.", "fromUserId": "ann", "guid": "1"}},
		{{"body": "Where is room 5?", "fromUserId": "cem", "guid": "2"}, {"body": "On the first floor.", "fromUserId": "kim", "guid": "3"}},
	} {
		room := srv.AddDataSource(chat.M{
			"name": fmt.Sprint("Support for ", said[0]["fromUserId"]), "type": "conversation",
			"definition": chat.M{"participants": []any{said[0]["fromUserId"], "kim"}},
		})
		for _, row := range said {
			srv.AddRows(room, row)
		}
	}
	app, err = chat.OpenApp(context.Background(), chat.AppOptions{Options: chat.Options{Client: srv.Client(), DataSourceID: contacts}})
	if err != nil {
		log.Fatal(err)
	}
	return srv, app
}

// A desk looks at all conversations of an app every few minutes.
func ExampleFinder_Each() {
	srv, app := hotline()
	defer srv.Close() //nolint:errcheck // the example is over
	defer app.Close() //nolint:errcheck // it does not fail
	f := &unanswered.Finder{Source: app, Answers: func(m *chat.Message) bool { return m.FromUserID == "kim" }}
	err := f.Each(context.Background(), func(w unanswered.Waiting) error {
		if time.Since(w.Message.CreatedAt) < 24*time.Hour {
			fmt.Println(w.Conversation.Name, "waits, not for long:", w.Message.Body)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// Support for ann waits, not for long: My badge does not work.
	// <nil>
}

// Kim asks whom she owes an answer.
func ExampleOf() {
	srv, app := hotline()
	defer srv.Close() //nolint:errcheck // the example is over
	defer app.Close() //nolint:errcheck // it does not fail
	ctx := context.Background()
	kim, err := app.User(ctx, chat.M{"flUserId": "kim"})
	if err != nil {
		log.Fatal(err)
	}
	defer kim.Close() //nolint:errcheck // it does not fail
	f := &unanswered.Finder{Source: unanswered.Of(kim), Answers: func(m *chat.Message) bool { return m.FromUserID == "kim" }}
	fmt.Println(f.Each(ctx, func(w unanswered.Waiting) error {
		fmt.Println(w.Conversation.Name)
		return nil
	}))
	// Output:
	// Support for ann
	// <nil>
}
