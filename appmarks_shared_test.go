package chat_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// The requests of all wait for slots of one limit between reading a list and replacing it.
func TestNoMarkIsLostWherePlainChatsShareTheClientOfAnApp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ users, plain, messages int }{
		"two of a pair, of a third person's messages": {2, 2, 40},
		"one beside two of an App":                    {3, 1, 20},
		"two beside many of an App":                   {30, 2, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				client := sure(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}}))
				opts := chat.Options{Client: client, DataSourceID: w.contacts}
				var people []string
				for i := range test.users {
					people = append(people, fmt.Sprint("user-", i))
					w.AddRows(w.contacts, chat.M{"Email": people[i], "flUserId": people[i], "flUserToken": "token-" + people[i]})
				}
				room := w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": people}})
				for i := range test.messages {
					w.AddRows(room, chat.M{"body": fmt.Sprint(i), "fromUserId": "somebody", "guid": fmt.Sprint(i)})
				}
				time.Sleep(10 * time.Second)
				app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: opts})
				require.NoError(t, err)
				defer app.Close() //nolint:errcheck // it does not fail
				var running sync.WaitGroup
				for i, id := range people {
					c := sure(chat.Connect(t.Context(), opts))
					defer c.Close() //nolint:errcheck // it was made
					if i < test.plain {
						_, err = c.Login(t.Context(), chat.M{"flUserId": id})
					} else {
						c, err = app.User(t.Context(), chat.M{"flUserId": id})
					}
					require.NoError(t, err)
					for k, row := range w.Rows(room) {
						running.Go(func() {
							time.Sleep(time.Duration((i*31+k*17)%900) * time.Millisecond)
							assert.NoError(t, c.MarkMessagesAsRead(t.Context(), &chat.Message{ID: row.ID, ConversationID: room}))
						})
					}
				}
				running.Wait()
				for _, row := range w.Rows(room) {
					readers := wire.Strings(row.Data["readBy"])
					slices.Sort(readers)
					assert.Subset(t, readers, people)
				}
			})
		})
	}
}
