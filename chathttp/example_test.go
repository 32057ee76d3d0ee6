package chathttp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing/fstest"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// example is a Chat of Jane's on a local Fliplet.
func example() (jane *chat.Chat, end func()) {
	srv, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	contacts, _ := srv.AddContacts(chat.M{"Email": "jane@example.org", "Full name": "Jane"}, chat.M{"Email": "bob@example.org", "Full name": "Bob"})
	jane, err = chat.Connect(context.Background(), chat.Options{Client: srv.Client(), DataSourceID: contacts, PrimaryKey: "Email"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := jane.Login(context.Background(), chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	return jane, func() {
		_ = jane.Close()
		srv.Close()
	}
}

// post makes a call, as a page of the server's own origin does.
func post(server, method, args string) string {
	res, err := http.Post(server+"/chat/call/"+method, "application/json", strings.NewReader(args)) //nolint:noctx // an example
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	return fmt.Sprint(res.StatusCode, " ", string(body))
}

func ExampleNew() {
	jane, end := example()
	defer end()
	h, err := chathttp.New(func(*http.Request) (*chat.Chat, error) {
		return jane, nil // a program looks up whose cookie it is
	}, chathttp.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	mux := http.NewServeMux()
	mux.Handle("/chat/", http.StripPrefix("/chat", h))
	server := httptest.NewServer(mux)
	defer server.Close()

	fmt.Println(post(server.URL, "unread.count", "[]"))
	fmt.Println(post(server.URL, "message", `["x", {"body": "Hello"}]`))
	_, err = chathttp.New(nil, chathttp.Options{})
	fmt.Println(err)
	// Output:
	// 200 0
	// 400 {"code":400,"status":400,"message":"conversationId: give an id, as a number or text"}
	// chathttp: chat: invalid argument: who: nil; give a function that tells whose a request is
}

// A page of another origin gets nothing.
func ExampleHandler_ServeHTTP() {
	jane, end := example()
	defer end()
	h, err := chathttp.New(func(*http.Request) (*chat.Chat, error) { return jane, nil }, chathttp.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	r := httptest.NewRequest(http.MethodPost, "https://chat.example.org/call/user", strings.NewReader("[]"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "https://other.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 403 {"code":403,"status":403,"message":"pages of other origins may not use this chat; Options.Origins names those that may"}
}

// Streams are requests that do not end by themselves: a server that shuts down has to end them.
func ExampleHandler_Close() {
	jane, end := example()
	defer end()
	h, err := chathttp.New(func(*http.Request) (*chat.Chat, error) { return jane, nil }, chathttp.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.StripPrefix("/chat", h))
	server.Config.RegisterOnShutdown(func() { _ = h.Close() })
	server.Start()
	res, err := http.Get(server.URL + "/chat/stream") //nolint:noctx // an example
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	if err := server.Config.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	events, _ := io.ReadAll(res.Body)
	fmt.Println(strings.Split(string(events), "\n")[0])
	// Output: event: open
}

func ExampleSecure() {
	pages := fstest.MapFS{"index.html": {Data: []byte("<script src=chat/chat.js></script>")}}
	w := httptest.NewRecorder()
	chathttp.Secure(http.FileServerFS(pages)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(strings.Split(w.Header().Get("Content-Security-Policy"), ";")[:2])
	// Output: [default-src 'none'  script-src 'self']
}

// A program that serves its scripts from elsewhere, such as one file for all, can take it along.
func ExampleScript() {
	fmt.Println(strings.Contains(string(chathttp.Script()), "Fliplet.Chat"))
	// Output: true
}
