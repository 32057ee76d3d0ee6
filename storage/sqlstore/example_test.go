package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// folder is one for the files of an example.
func folder() (path string, remove func()) {
	path, err := os.MkdirTemp("", "sqlstore")
	if err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(path) }
}

// An archive has each message exactly once, whenever it is killed: the row is committed
// together with the position, or neither is.
func ExampleTx() {
	server, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	contacts, ids := server.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "archive@example.org"})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	login := func(name string, store storage.Store) *chat.Chat {
		c, err := chat.Connect(ctx, chat.Options{
			Client: server.Client(), DataSourceID: contacts, AppID: server.AppID, PrimaryKey: "Email",
			Storage: store, LivePollInterval: 20 * time.Millisecond,
		})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := c.Login(ctx, chat.M{"Email": name + "@example.org"}); err != nil {
			log.Fatal(err)
		}
		return c
	}
	jane := login("jane", nil)
	defer jane.Close()
	conv, err := jane.Create(ctx, chat.NewConversation{Participants: ids[1:]})
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"The code is 1234", "Good night"} {
		if _, err := jane.Message(ctx, conv.ID, chat.Draft{Body: text}); err != nil {
			log.Fatal(err)
		}
	}

	dir, remove := folder()
	defer remove()
	store, err := sqlstore.Open(ctx, filepath.Join(dir, "archive.db"), sqlstore.Alone())
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if _, err := store.DB().ExecContext(ctx, `CREATE TABLE archive (message INTEGER PRIMARY KEY, body TEXT NOT NULL)`); err != nil {
		log.Fatal(err)
	}
	archive := login("archive", store)
	defer archive.Close()
	err = archive.Consume(ctx, "archive", func(ctx context.Context, m *chat.Message) error {
		tx, err := sqlstore.Tx(ctx)
		if err != nil {
			return err
		}
		if m.Body == "Good night" {
			defer stop()
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO archive VALUES (?, ?)`, m.ID, m.Body)
		return err
	}, chat.StartAt(chat.FromBeginning))
	fmt.Println(errors.Is(err, context.Canceled))
	var rows int
	if err := store.DB().QueryRow(`SELECT count(*) FROM archive`).Scan(&rows); err != nil {
		log.Fatal(err)
	}
	fmt.Println(rows, "rows")
	// Output:
	// true
	// 2 rows
}

// Changes of several keys, and of other tables, take effect together.
func ExampleStore_Update() {
	dir, remove := folder()
	defer remove()
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, filepath.Join(dir, "store.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	err = store.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		if err := tx.Set(ctx, "from", []byte("0")); err != nil {
			return err
		}
		return tx.Set(ctx, "to", []byte("1"))
	})
	fmt.Println(err)
	err = store.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		return errors.Join(tx.Set(ctx, "from", []byte("1")), errors.New("not now"))
	})
	fmt.Println(err)
	value, err := store.Get(ctx, "from")
	fmt.Println(string(value), err)
	// Output:
	// <nil>
	// not now
	// 0 <nil>
}

// A Store in a database that the program has already.
func ExampleNew() {
	dir, remove := folder()
	defer remove()
	ctx := context.Background()
	db, err := sql.Open("sqlite", filepath.Join(dir, "app.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.New(ctx, db, sqlstore.Patience(10*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(store.Set(ctx, "key", []byte("value")))
	for key, err := range store.List(ctx, "") {
		fmt.Println(key, err)
	}
	fmt.Println(store.Exclusive(), store.Close())
	// Output:
	// <nil>
	// key <nil>
	// false <nil>
}
