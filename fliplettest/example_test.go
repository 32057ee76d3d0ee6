package fliplettest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// A test would call fliplettest.New(t), which closes the server by itself.
func Example() {
	srv, err := fliplettest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	contacts, _ := srv.AddContacts(
		datasource.M{"Email": "jane@example.org"},
		datasource.M{"Email": "bob@example.org"},
	)
	rows, err := srv.Client().Find(context.Background(), contacts, datasource.Query{
		Where: datasource.M{"Email": datasource.M{"$iLike": "JANE@"}},
	})
	fmt.Println(len(rows), rows[0].Data["Email"], err)
	// Output: 1 jane@example.org <nil>
}

// The answer to a write is lost. The client cannot know that the row is there.
func ExampleServer_Next() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ds := srv.AddDataSource(datasource.M{"name": "Orders"})

	srv.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
	_, err = srv.Client().Insert(context.Background(), ds, datasource.M{"n": 1})
	fmt.Println(err != nil, len(srv.Rows(ds)))
	// Output: true 1
}

// Two calls fail; the client's retries get over it.
func ExampleStatus() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ds := srv.AddDataSource(datasource.M{"name": "Orders", "entries": []any{datasource.M{"n": 1}}})

	srv.Next(2, fliplettest.Query, fliplettest.Status(503))
	rows, err := srv.Client().Find(context.Background(), ds, datasource.Query{})
	fmt.Println(len(rows), err, srv.Count(fliplettest.Query))
	// Output: 1 <nil> 3
}

// A login that has to show a second factor.
func ExampleSecondFactor() {
	srv, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	srv.AddUser("jane@example.org", "Jane", "Doe", "secret")
	srv.Always(fliplettest.SignIn, fliplettest.SecondFactor("123456"))
	login := func(form url.Values) {
		resp, err := http.PostForm(srv.URL+"/v1/auth/login", form)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	form := url.Values{"email": {"jane@example.org"}, "password": {"secret"}}
	login(form)
	form.Set("twofactor", "123456")
	login(form)
	// Output:
	// 428 Precondition Required
	// 200 OK
}

// The same seed gives the same tokens and GUIDs, here of a user of Studio.
func ExampleWithSeed() {
	token := func(seed uint64) string {
		srv, err := fliplettest.Start(fliplettest.WithSeed(seed), fliplettest.InProcess())
		if err != nil {
			log.Fatal(err)
		}
		defer srv.Close()
		return srv.AddUser("jane@example.org", "Jane", "Doe", "secret")
	}
	first, again, other := token(7), token(7), token(8)
	fmt.Println(first == again, first == other)
	// Output: true false
}

// Public clients switch to the base of the API that v1/user names.
func ExampleHost() {
	srv, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	srv.Always(fliplettest.User, fliplettest.Host("https://us.api.fliplet.com/"))
	resp, err := http.Get(srv.URL + "/v1/user?auth_token=" + srv.Token)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Host string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Host)
	// Output: https://us.api.fliplet.com/
}

// Media objects that lead to the CDN instead of the API, which wants a token.
func ExampleCDN() {
	srv, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	srv.Always(fliplettest.AnyRoute, fliplettest.CDN())
	files, err := srv.Client().Upload(context.Background(), url.Values{"appId": {"1"}}, []datasource.Part{{Field: "files[0]", Filename: "hello.txt", Content: []byte("hello")}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.TrimPrefix(files[0].URL, srv.URL))
	// Output: /organizations/1/files/901/hello.txt
}

// The users of an app share a limit: one of them uses it up.
func ExampleServer_Limit() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ds := srv.AddDataSource(datasource.M{"name": "Orders"})
	another, _ := srv.AddToken(fliplettest.APIToken)
	impatient, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()

	srv.Limit(fliplettest.DataSourceCalls, fliplettest.PerApp, 1, time.Hour)
	_, err = srv.Client().Find(impatient, ds, datasource.Query{})
	fmt.Println(err)
	_, err = srv.ClientFor(another).Find(impatient, ds, datasource.Query{})
	fmt.Println(errors.Is(err, datasource.ErrRateLimited))

	app := srv.Used(fliplettest.DataSourceCalls, fliplettest.PerApp, srv.AppID)
	fmt.Println(app.InWindow, app.Total, app.Refused)
	// Output:
	// <nil>
	// true
	// 1 1 1
}

// A limit of a whole organisation from the start.
func ExampleWithLimit() {
	srv, err := fliplettest.Start(fliplettest.InProcess(),
		fliplettest.WithLimit(fliplettest.DataSourceCalls, fliplettest.PerOrganization, 500, 10*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ds := srv.AddDataSource(datasource.M{"name": "Orders"})
	for range 3 {
		if _, err := srv.Client().Find(context.Background(), ds, datasource.Query{}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(srv.Used(fliplettest.DataSourceCalls, fliplettest.PerOrganization, srv.OrganizationID).InWindow)
	// Output: 3
}

// Who has asked how often, without any limit.
func ExampleServer_Usage() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ds := srv.AddDataSource(datasource.M{"name": "Orders"})
	_, _ = srv.Client().Find(context.Background(), ds, datasource.Query{})
	for _, u := range srv.Usage() {
		fmt.Println(u.Calls, u.Scope, u.Total)
	}
	// Output:
	// data-sources token 1
	// data-sources user 1
	// data-sources app 1
	// data-sources organization 1
}

// A second device of a person has a token of its own and shares the limit of the user.
func ExampleServer_AddTwin() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ds := srv.AddDataSource(datasource.M{"name": "Orders"})
	phone := srv.AddUser("jo@example.org", "Jo", "March", "secret")
	tablet, _ := srv.AddTwin(phone)
	for _, token := range []string{phone, tablet} {
		_, _ = srv.ClientFor(token).Find(context.Background(), ds, datasource.Query{})
	}
	fmt.Println(srv.Used(fliplettest.DataSourceCalls, fliplettest.PerUser, 1).Total)
	// Output: 2
}

// The audit log has a write a minute late, and no messages at all.
func ExampleLogLag() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	admin, _ := srv.AddToken(fliplettest.OrganizationToken)
	srv.AddDataSource(datasource.M{"name": "Orders"})
	lines := func() int {
		req, _ := http.NewRequest(http.MethodGet, srv.URL+"/v1/organizations/1/logs", nil)
		req.Header.Set("Auth-token", admin)
		res, err := srv.Transport().RoundTrip(req)
		if err != nil {
			return -1
		}
		defer res.Body.Close()
		var answer struct{ Logs []struct{ Type string } }
		_ = json.NewDecoder(res.Body).Decode(&answer)
		return len(answer.Logs)
	}
	fmt.Println(lines())
	srv.Always(fliplettest.GetLogs, fliplettest.LogLag(time.Minute), fliplettest.LogWithoutChats())
	fmt.Println(lines())
	// Output:
	// 1
	// 0
}
