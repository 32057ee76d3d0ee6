package fliplettest_test

import (
	"context"
	"fmt"

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
