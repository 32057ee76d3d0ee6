package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// stage is what the examples play on: a local Fliplet whose contacts are Jane, Bob
// and Eve. In a program of your own a token takes the place of the server.
type stage struct {
	server               *fliplettest.Server
	contacts             int64 // their data source
	janeID, bobID, eveID int64 // ids of contacts
	jane, bob, eve       *chat.Chat
	restore              func() // the pauses of production
}

func newStage() *stage {
	server, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		log.Fatal(err)
	}
	s := &stage{server: server, restore: chat.ShortPauses()}
	var ids []int64
	s.contacts, ids = server.AddContacts(
		datasource.M{"Email": "jane@example.org", "Name": "Jane"},
		datasource.M{"Email": "bob@example.org", "Name": "Bob"},
		datasource.M{"Email": "eve@example.org", "Name": "Eve"},
	)
	s.janeID, s.bobID, s.eveID = ids[0], ids[1], ids[2]
	for _, who := range []struct {
		email string
		chat  **chat.Chat
	}{{"jane@example.org", &s.jane}, {"bob@example.org", &s.bob}, {"eve@example.org", &s.eve}} {
		c, err := chat.Connect(context.Background(), s.options())
		if err != nil {
			log.Fatal(err)
		}
		if _, err := c.Login(context.Background(), chat.M{"Email": who.email}); err != nil {
			log.Fatal(err)
		}
		*who.chat = c
	}
	return s
}

func (s *stage) options() chat.Options {
	return chat.Options{
		Client: s.server.Client(), DataSourceID: s.contacts, AppID: s.server.AppID, PrimaryKey: "Email",
		EncryptMessages: true, LivePollInterval: 5 * time.Millisecond,
	}
}

// close ends everything.
func (s *stage) close() {
	for _, c := range []*chat.Chat{s.jane, s.bob, s.eve} {
		c.Close()
	}
	s.server.Close()
	s.restore()
}

// talk makes a conversation of Jane and Bob in which Jane has said something.
func (s *stage) talk(texts ...string) *chat.Conversation {
	conv, err := s.jane.Create(context.Background(), chat.NewConversation{Participants: []int64{s.bobID}})
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range texts {
		if _, err := s.jane.Message(context.Background(), conv.ID, chat.Draft{Body: text}); err != nil {
			log.Fatal(err)
		}
	}
	return conv
}

// Two people chat. A token from Fliplet Studio and the id of the contacts take the
// place of the local server in a program of your own.
func Example() {
	server, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	contacts, ids := server.AddContacts(chat.M{"Email": "jane@example.org"}, chat.M{"Email": "bob@example.org"})
	ctx := context.Background()

	people := map[string]*chat.Chat{}
	for _, name := range []string{"jane", "bob"} {
		c, err := chat.Connect(ctx, chat.Options{
			Client: server.Client(), DataSourceID: contacts, PrimaryKey: "Email", EncryptMessages: true,
		})
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Login(ctx, chat.M{"Email": name + "@example.org"}); err != nil {
			log.Fatal(err)
		}
		people[name] = c
	}

	_, err = people["bob"].Stream(ctx, func(m *chat.Message) { fmt.Println("Bob reads:", m.Body) })
	if err != nil {
		log.Fatal(err)
	}
	conv, err := people["jane"].Create(ctx, chat.NewConversation{Participants: []int64{ids[1]}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := people["jane"].Message(ctx, conv.ID, chat.Draft{Body: "Hello Bob!"}); err != nil {
		log.Fatal(err)
	}
	if err := people["bob"].Poll(ctx); err != nil { // at once, not within two seconds
		log.Fatal(err)
	}
	// Output: Bob reads: Hello Bob!
}

// Connect checks the options and makes no request.
func ExampleConnect() {
	client, err := datasource.NewClient(datasource.Config{Token: "eu--0123456789"})
	if err != nil {
		log.Fatal(err)
	}
	c, err := chat.Connect(context.Background(), chat.Options{Client: client, DataSourceID: 123, PrimaryKey: "Email"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.User() == nil)

	_, err = chat.Connect(context.Background(), chat.Options{Client: client})
	fmt.Println(errors.Is(err, chat.ErrInvalid), err)
	// Output:
	// true
	// true chat: connect: invalid argument: Options.DataSourceID: 0; give the id of the contacts data source
}

// Get finds the Chat that another part of the program connected, and waits for it.
func ExampleGet() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	c, err := chat.Connect(ctx, s.options())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	same, err := chat.Get(ctx)
	fmt.Println(same == c, err)
	// Output: true <nil>
}

// A server with many users gives each scope a registry of its own.
func ExampleRegistry_Connect() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	var tenant chat.Registry
	c, err := tenant.Connect(ctx, s.options())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	found, err := tenant.Get(ctx)
	fmt.Println(found == c, err)
	// Output: true <nil>
}

func ExampleRegistry_Get() {
	var empty chat.Registry
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := empty.Get(ctx) // waits for somebody to connect
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

func ExampleRegistry_Set() {
	s := newStage()
	defer s.close()
	var tenant chat.Registry
	tenant.Set(s.jane)
	found, err := tenant.Get(context.Background())
	fmt.Println(found == s.jane, err)
	// Output: true <nil>
}

// The query is a where clause over the columns of the contacts. $iLike finds its
// operand anywhere on the server; the login insists on the whole value.
func ExampleChat_Login() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	c, err := chat.Connect(ctx, s.options())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	jane, err := c.Login(ctx, chat.M{"Email": chat.M{"$iLike": "Jane@Example.org"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("hello", jane.Data["Name"])

	_, err = c.Login(ctx, chat.M{"Email": chat.M{"$iLike": "ane@example.org"}})
	fmt.Println(errors.Is(err, chat.ErrContactNotFound))
	// Output:
	// hello Jane
	// true
}

// Operators beside equality and $iLike have to be allowed. Here the SDK can check the
// list itself.
func ExampleAnyOperator() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	c, err := chat.Connect(ctx, s.options())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	query := chat.M{"Email": chat.M{"$in": []string{"jane@example.org", "jane@example.com"}}}
	_, err = c.Login(ctx, query)
	fmt.Println(errors.Is(err, chat.ErrInvalid))

	jane, err := c.Login(ctx, query, chat.AnyOperator())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("hello", jane.Data["Name"])
	// Output:
	// true
	// hello Jane
}

// With a store that outlives the process a chat starts without a network.
func ExampleOffline() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	opts := s.options()
	opts.Storage = storage.NewMemory() // or a file, with package boltstore

	yesterday, err := chat.Connect(ctx, opts)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := yesterday.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	if _, err := yesterday.Contacts(ctx); err != nil {
		log.Fatal(err)
	}
	yesterday.Close()
	s.server.Always(fliplettest.AnyRoute, fliplettest.LoseRequest()) // no network

	today, err := chat.Connect(ctx, opts)
	if err != nil {
		log.Fatal(err)
	}
	defer today.Close()
	jane, err := today.Login(ctx, chat.M{"Email": "jane@example.org"}, chat.Offline())
	if err != nil {
		log.Fatal(err)
	}
	contacts, err := today.Contacts(ctx, chat.Offline())
	fmt.Println(jane.Data["Name"], len(contacts), err)
	// Output: Jane 3 <nil>
}

// Logging out ends the streams and clears the chat token of the contact.
func ExampleChat_Logout() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	if err := s.jane.Logout(ctx); err != nil {
		log.Fatal(err)
	}
	_, err := s.jane.Conversations(ctx)
	fmt.Println(s.jane.User() == nil, errors.Is(err, chat.ErrNotLoggedIn))
	// Output: true true
}

// Close waits until nothing runs any more. The user stays logged in on the server.
func ExampleChat_Close() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	sub, err := s.jane.Stream(ctx, func(*chat.Message) {})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.jane.Close(); err != nil {
		log.Fatal(err)
	}
	<-sub.Done()
	fmt.Println(errors.Is(sub.Err(), chat.ErrClosed))
	// Output: true
}

func ExampleChat_User() {
	s := newStage()
	defer s.close()
	fmt.Println(s.jane.User().Data["Name"])
	// Output: Jane
}

// A Chat prints as the host it talks to, without any secret.
func ExampleChat_String() {
	client, err := datasource.NewClient(datasource.Config{Token: "eu--0123456789"})
	if err != nil {
		log.Fatal(err)
	}
	c, err := chat.Connect(context.Background(), chat.Options{Client: client, DataSourceID: 123})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c)
	// Output: chat over datasource.Client(https://api.fliplet.com)
}

func ExampleChat_Contacts() {
	s := newStage()
	defer s.close()
	contacts, err := s.jane.Contacts(context.Background(),
		chat.Where(chat.M{"Email": chat.M{"$ne": "jane@example.org"}}),
		chat.OrderBy("data.Name", datasource.Desc))
	if err != nil {
		log.Fatal(err)
	}
	for _, contact := range contacts {
		fmt.Println(contact.Data["Name"])
	}
	// Output:
	// Eve
	// Bob
}

// The number that the JavaScript API rejects with stays readable.
func ExampleError() {
	s := newStage()
	defer s.close()
	_, err := s.jane.Login(context.Background(), chat.M{"Email": "nobody@example.org"})
	if e, ok := errors.AsType[*chat.Error](err); ok {
		fmt.Println(e.Op, e.Code)
	}
	// Output: login 404
}

func ExampleError_Error() {
	s := newStage()
	defer s.close()
	_, err := s.jane.Message(context.Background(), 1, chat.Draft{})
	fmt.Println(err)
	// Output: chat: send: invalid argument: Draft: empty; give it a Body, Files or Data
}

// What the server said is in the chain.
func ExampleError_Unwrap() {
	s := newStage()
	defer s.close()
	s.server.Always(fliplettest.Query, fliplettest.Answer(400,
		`{"message":"The security rules do not allow this app to read data.","type":"datasource.access"}`))
	_, err := s.jane.Contacts(context.Background())
	fmt.Println(errors.Is(err, datasource.ErrAccessDenied))
	if refused, ok := errors.AsType[*datasource.Error](err); ok {
		fmt.Println(refused.StatusCode)
	}
	// Output:
	// true
	// 400
}

// Options print without the client's token.
func ExampleOptions_Format() {
	fmt.Println(chat.Options{DataSourceID: 123, PrimaryKey: "Email"})
	// Output: chat.Options{DataSourceID: 123, PrimaryKey: "Email", EncryptMessages: false, AppID: 0}
}

// Whatever the call: a program in between can tell its own callers to come back later.
func ExampleError_Is() {
	s := newStage()
	defer s.close()
	s.server.Always(fliplettest.AnyRoute, fliplettest.Status(http.StatusServiceUnavailable))
	_, err := s.jane.Contacts(context.Background())
	if errors.Is(err, chat.ErrOffline) {
		fmt.Println("answer 503")
	}
	// Output: answer 503
}
