package pgstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore"
)

// database is an empty database, "postgres://…" in a real program.
func database(ctx context.Context) string {
	srv, err := shared()
	if err != nil {
		log.Fatal(err)
	}
	dsn, err := srv.Create(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return dsn
}

// What one process stores another one finds.
func ExampleOpen() {
	ctx := context.Background()
	dsn := database(ctx)
	for _, word := range []string{"first", "second"} {
		store, err := pgstore.Open(ctx, dsn, pgstore.Namespace("my app"))
		if err != nil {
			log.Fatal(err)
		}
		before, _ := store.Get(ctx, "replica")
		fmt.Printf("%s replica, after %q\n", word, before)
		if err := store.Set(ctx, "replica", []byte(word)); err != nil {
			log.Fatal(err)
		}
		store.Close()
	}
	// Output:
	// first replica, after ""
	// second replica, after "first"
}

// A program that has a pool of its own shares it with the Store.
func ExampleNew() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, database(ctx))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	store, err := pgstore.New(ctx, pool, pgstore.Schema("support"), pgstore.TablePrefix("chat_"), pgstore.IdleTimeout(30*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println(store)
	// Output:
	// pgstore "support"."chat_store"
}

// A row and a position are stored together, or neither is.
func ExampleTx() {
	ctx := context.Background()
	dsn := database(ctx)
	store, err := pgstore.Open(ctx, dsn)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, "CREATE TABLE archive (id bigint PRIMARY KEY, body text)"); err != nil {
		log.Fatal(err)
	}

	archive := func(id int64, body string, position []byte) error {
		return store.Update(ctx, func(ctx context.Context, kept storage.Store) error {
			tx, _ := pgstore.Tx(ctx)
			if _, err := tx.Exec(ctx, "INSERT INTO archive VALUES ($1, $2)", id, body); err != nil {
				return err
			}
			ok, err := kept.CompareAndSwap(ctx, "position", position, fmt.Append(nil, id))
			if err == nil && !ok {
				err = fmt.Errorf("another process has moved the position")
			}
			return err
		})
	}
	fmt.Println(archive(1, "hello", nil))
	fmt.Println(archive(2, "again", nil)) // a process that did not see the first

	var rows int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM archive").Scan(&rows); err != nil {
		log.Fatal(err)
	}
	position, _ := store.Get(ctx, "position")
	fmt.Printf("%d row, position %s\n", rows, position)
	// Output:
	// <nil>
	// another process has moved the position
	// 1 row, position 1
}

// Whoever waits for a key is told, and reads it then.
func ExampleStore_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store, err := pgstore.Open(ctx, database(ctx))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	changed, err := store.Watch(ctx, "leader")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := store.Set(ctx, "leader", []byte("replica 2")); err != nil {
			log.Print(err)
		}
	}()
	for {
		leader, err := store.Get(ctx, "leader")
		if err == nil {
			fmt.Printf("%s leads\n", leader)
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			log.Print(ctx.Err())
			return
		}
	}
	// Output:
	// replica 2 leads
}
