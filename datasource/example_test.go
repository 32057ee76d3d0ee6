package datasource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// exampleServer answers the few requests of the examples. Programs leave Config.BaseURL empty.
func exampleServer() *httptest.Server {
	mux := http.NewServeMux()
	reply := func(pattern, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	}
	reply("POST /v1/data-sources/123/data/query", `{"entries":[{"id":42,"data":{"Email":"jane@example.org","Visits":9007199254740993}}]}`)
	reply("PUT /v1/data-sources/123/data", `{"id":43,"data":{"Email":"bob@example.org"}}`)
	reply("POST /v1/data-sources/123/commit", `{"clientIds":[{"id":44,"clientId":"new-1"}]}`)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"message":"The security rules for the Data Source \"Staff\" do not allow this app to read data.","type":"datasource.access"}`)
	})
	return httptest.NewServer(mux)
}

func ExampleClient_DatedDataSources() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Tue, 15 Feb 2022 17:13:22 GMT")
		_, _ = io.WriteString(w, `{"dataSources":[{"id":7,"name":"Talk","updatedAt":"2022-02-15T17:00:00.000Z"}]}`)
	}))
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdle()
	list, answered, err := client.DatedDataSources(context.Background(), datasource.SourceFilter{AppID: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list[0].Name, "was changed", answered.Sub(list[0].UpdatedAt), "before")
	// Output: Talk was changed 13m22s before
}

func ExampleClient_SelectAcross() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Tue, 15 Feb 2022 17:13:22 GMT")
		_, _ = io.WriteString(w, `{"entries":[{"id":42,"dataSourceId":7,"updatedAt":"2099-01-01T00:00:00.000Z","data":{}}]}`)
	}))
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdle()
	r, err := client.SelectAcross(context.Background(), []byte(`{"flUserToken":"…"}`), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("answered in", r.Answered.Year(), "with a row of", r.Entries[0].UpdatedAt.Year())
	// Output: answered in 2022 with a row of 2099
}

func Example() {
	server := exampleServer()
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdle()
	ctx := context.Background()

	rows, err := client.Find(ctx, 123, datasource.Query{
		Where: datasource.M{"Visits": datasource.M{"$gt": 100}},
		Order: []datasource.Order{{Column: "data.Email"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range rows {
		visits, _ := row.Data["Visits"].(json.Number)
		fmt.Println(row.ID, row.Data["Email"], visits)
	}

	row, err := client.Insert(ctx, 123, datasource.M{"Email": "bob@example.org"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(row.ID)
	// Output:
	// 42 jane@example.org 9007199254740993
	// 43
}

func ExampleClient_LastAccepted() {
	server := exampleServer()
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdle()
	fmt.Println("before:", !client.LastAccepted().IsZero())
	_, err = client.Find(context.Background(), 9, datasource.Query{}) // the rules refuse it
	fmt.Println("refused:", errors.Is(err, datasource.ErrAccessDenied), !client.LastAccepted().IsZero())
	if _, err = client.Find(context.Background(), 123, datasource.Query{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("accepted:", !client.LastAccepted().IsZero())
	// Output:
	// before: false
	// refused: true false
	// accepted: true
}

func ExampleClient_Commit() {
	server := exampleServer()
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdle()

	result, err := client.Commit(context.Background(), 123, datasource.Commit{
		Entries: []datasource.CommitEntry{
			{ID: 42, Data: datasource.M{"Seen": true}},                          // merged into the row
			{ClientID: "new-1", Data: datasource.M{"Email": "ann@example.org"}}, // inserted
		},
		Delete: []int64{17},
	})
	if datasource.Doubtful(err) {
		log.Fatal("look the rows up before sending them again: ", err)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.ClientIDs[0].ClientID, "is", result.ClientIDs[0].ID)
	// Output: new-1 is 44
}

func ExampleError() {
	server := exampleServer()
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdle()

	_, err = client.Find(context.Background(), 7, datasource.Query{})
	if refusal, ok := errors.AsType[*datasource.Error](err); ok && errors.Is(err, datasource.ErrAccessDenied) {
		fmt.Println(refusal.StatusCode, refusal.Message)
	}
	// Output: 400 The security rules for the Data Source "Staff" do not allow this app to read data.
}

// What a page for operators shows of the limit.
func ExampleWindow_Load() {
	l := datasource.NewLimiter(200, 10*time.Second)
	_ = l.Wait(context.Background())
	used, of, waiting := l.Load()
	fmt.Println(used, "of", of, "used,", waiting, "waiting")
	// Output: 1 of 200 used, 0 waiting
}

// A limiter of one's own, here one that lets everything start at the full second. All Chats are one to it.
func ExampleLimiter() {
	client, err := datasource.NewClient(datasource.Config{Token: "eu--token", Limiter: onTheSecond{}})
	if err != nil {
		panic(err)
	}
	fmt.Println(client.Delay() <= time.Second, client.LimiterErr())
	// Output: true <nil>
}

type onTheSecond struct{}

func (l onTheSecond) Wait(ctx context.Context) error {
	select {
	case <-time.After(l.Delay()):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (onTheSecond) Delay() time.Duration { return time.Second - time.Duration(time.Now().Nanosecond()) }

func (onTheSecond) Load() (used, of, waiting int) { return 0, 0, 0 }

// An hour of fewer requests, such as while another program needs them.
func ExampleWindow_Resize() {
	l := datasource.NewLimiter(200, 10*time.Second)
	l.Resize(datasource.Capacity{N: 50, Until: time.Now().Add(time.Hour), Then: 200})
	_, of, _ := l.Load()
	fmt.Println(of)
	// Output: 50
}

// Everybody who waits gets an error when a program ends.
func ExampleWindow_Fail() {
	l := datasource.NewLimiter(200, 10*time.Second)
	l.Fail(errors.New("the program ends"))
	fmt.Println(l.Wait(context.Background()))
	// Output: the program ends
}

// What a limiter knows of a request.
func ExampleTurn() {
	l := told{datasource.NewLimiter(200, 10*time.Second)}
	client, err := datasource.NewClient(datasource.Config{
		Token: "eu--token", Limiter: l, HTTPClient: &http.Client{Transport: refusing{}}, Retry: datasource.RetryPolicy{MaxAttempts: 1},
	})
	if err != nil {
		panic(err)
	}
	_, _ = client.View().Insert(context.Background(), 1, datasource.M{"Name": "Jane"})
	// Output: true
}

// told is a Window that is told of turns first.
type told struct{ *datasource.Window }

func (t told) WaitTurn(ctx context.Context, turn datasource.Turn) error {
	fmt.Println(turn.Class() == datasource.ClassSend)
	return t.Window.WaitTurn(ctx, turn)
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no network here")
}

// Two views share the limit of their client. What one imports comes after what anybody waits for.
func ExampleInClass() {
	server := exampleServer()
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	ctx := datasource.InClass(context.Background(), datasource.ClassBackground) // as Unhurried
	if _, err := client.View().Insert(ctx, 123, datasource.M{"Email": "bob@example.org"}); err != nil {
		log.Fatal(err)
	}
	rows, err := client.View().Find(context.Background(), 123, datasource.Query{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rows[0].ID)
	// Output: 42
}

// Whoever lets several callers wait for one request keeps those apart that are in no hurry.
func ExampleClassOf() {
	ctx := datasource.Unhurried(context.Background())
	fmt.Println(datasource.ClassOf(ctx) == datasource.ClassBackground)
	fmt.Println(datasource.ClassOf(context.Background()) == datasource.ClassOther)
	// Output:
	// true
	// true
}

// A program that makes requests of its own with the same token tells the Limiter of a refusal, too.
func ExampleWindow_Refused() {
	limit := datasource.NewLimiter(200, 10*time.Second)
	limit.Refused(time.Now().Add(2 * time.Second)) // what the server has named
	fmt.Println(limit.Delay() > time.Second)
	_, of, _ := limit.Load()
	fmt.Println(of)
	// Output:
	// true
	// 100
}

// A program that makes requests of its own with the same token tells the Limiter whether they were answered, too.
func ExampleWindow_Answered() {
	limit := datasource.NewLimiter(200, 10*time.Second)
	if err := limit.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	started := time.Now()
	resp, err := http.Get("http://127.0.0.1:1/v1/data-sources") // nobody is there
	if err != nil {
		limit.Unanswered()
	} else {
		_ = resp.Body.Close()
		limit.Answered(started)
	}
	fmt.Println(limit.Delay()) // one of five
	// Output: 0s
}
