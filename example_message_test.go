package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// Custom columns are stored as they are.
func ExampleChat_Message() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	m, err := s.jane.Message(ctx, conv.ID, chat.Draft{
		Body:  "The build is broken",
		Files: []chat.File{{URL: "https://ci.example.org/log.txt"}},
		Data:  chat.M{"priority": "high"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Body, m.Files, m.Data["priority"], m.IsReadByCurrentUser)

	// On the server the body is ciphertext.
	row, err := s.server.Client().FindByID(ctx, conv.ID, m.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(row.Data["body"].(string), "U2FsdGVkX1"))
	// Output:
	// The build is broken [https://ci.example.org/log.txt] high true
	// true
}

// A GUID of one's own makes a send that can be repeated after a doubtful failure.
func ExampleDraft() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	draft := chat.Draft{GUID: "5f6c2b0e-9d7a-4c1b-8e3f-0a1d2c4b6e88", Body: "Paid 40 EUR"}
	s.server.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
	m, err := s.jane.Message(ctx, conv.ID, draft) // finds out that it was stored
	if err != nil {
		log.Fatal(err)
	}
	all, err := s.jane.Messages(ctx)
	fmt.Println(m.Body, m.GUID == draft.GUID, len(all), err)
	// Output: Paid 40 EUR true 1 <nil>
}

// A draft prints without its content.
func ExampleDraft_Format() {
	fmt.Printf("%+v\n", chat.Draft{Body: "secret"})
	// Output: draft of 6 bytes with 0 files
}

// Columns that are not named stay. Flagging an edit is for the caller.
func ExampleChat_UpdateMessage() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	m, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "See you Thrusday", Data: chat.M{"room": "A1"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, columns := range []chat.M{{"body": "See you Thursday", "isEdited": true}, {"isEdited": false}, {"room": "B2"}} {
		if m, err = s.jane.UpdateMessage(ctx, conv.ID, m.ID, columns); err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Body, m.Data["room"], m.Data["isEdited"])
	}
	// Output:
	// See you Thursday A1 true
	// See you Thursday A1 false
	// See you Thursday B2 false
}

func ExampleChat_DeleteMessage() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("oops", "hello")
	history, err := s.jane.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := s.jane.DeleteMessage(ctx, conv.ID, history[0].ID); err != nil {
		log.Fatal(err)
	}
	err = s.jane.DeleteMessage(ctx, conv.ID, history[0].ID)
	fmt.Println(errors.Is(err, chat.ErrNotFound))
	// Output: true
}

// The latest messages come, oldest first.
func ExampleChat_Messages() {
	s := newStage()
	defer s.close()
	conv := s.talk("one", "two", "three")
	msgs, err := s.bob.Messages(context.Background(), chat.In(conv.ID), chat.Limit(2))
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range msgs {
		fmt.Println(m.Body)
	}
	// Output:
	// two
	// three
}

// Where looks at columns, here of contacts.
func ExampleWhere() {
	s := newStage()
	defer s.close()
	contacts, err := s.jane.Contacts(context.Background(), chat.Where(chat.M{"Email": chat.M{"$iLike": "bob@"}}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(contacts), contacts[0].Data["Name"])
	// Output: 1 Bob
}

// Query has every option of a query; here one contact of each, and only their names.
func ExampleQuery() {
	s := newStage()
	defer s.close()
	contacts, err := s.jane.Contacts(context.Background(), chat.Query(datasource.Query{
		Attributes: []string{"Name"}, ID: chat.M{"$in": []int64{s.bobID, s.eveID}},
		Order: []datasource.Order{{Column: "data.Name", Direction: datasource.Desc}},
	}))
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range contacts {
		fmt.Println(c.Data["Name"])
	}
	// Output:
	// Eve
	// Bob
}

// Total counts what a page does not show.
func ExampleTotal() {
	s := newStage()
	defer s.close()
	var total int
	contacts, err := s.jane.Contacts(context.Background(), chat.Limit(2), chat.Total(&total))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(contacts), "of", total)
	// Output: 2 of 3
}

// WhereRow looks at whole rows: the columns of a message are in "data".
func ExampleWhereRow() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("from Jane")
	if _, err := s.bob.Message(ctx, conv.ID, chat.Draft{Body: "from Bob"}); err != nil {
		log.Fatal(err)
	}
	msgs, err := s.jane.Messages(ctx, chat.WhereRow(chat.M{"data": chat.M{"$contains": chat.M{"fromUserId": s.bob.User().UserID}}}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(msgs), msgs[0].Body)
	// Output: 1 from Bob
}

func ExampleIn() {
	s := newStage()
	defer s.close()
	s.talk("hello")
	msgs, err := s.jane.Messages(context.Background(), chat.In()) // none
	fmt.Println(len(msgs), err)
	// Output: 0 <nil>
}

func ExampleLimit() {
	s := newStage()
	defer s.close()
	contacts, err := s.jane.Contacts(context.Background(), chat.OrderBy("data.Name", datasource.Asc), chat.Limit(1))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(contacts[0].Data["Name"])
	// Output: Bob
}

func ExampleOffset() {
	s := newStage()
	defer s.close()
	contacts, err := s.jane.Contacts(context.Background(),
		chat.OrderBy("data.Name", datasource.Asc), chat.Offset(1), chat.Limit(1))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(contacts[0].Data["Name"])
	// Output: Eve
}

func ExampleOrderBy() {
	s := newStage()
	defer s.close()
	conv := s.talk("one", "two")
	msgs, err := conv.Messages().Fetch(context.Background(), chat.OrderBy("id", datasource.Desc))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(msgs[0].Body, msgs[1].Body)
	// Output: two one
}

// The newest message comes first. Older ones are read as the loop gets to them.
func ExampleChat_History() {
	s := newStage()
	defer s.close()
	conv := s.talk("one", "two", "three")
	for m, err := range s.bob.History(context.Background(), conv.ID) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Body)
		if m.Body == "two" {
			break
		}
	}
	// Output:
	// three
	// two
}

func ExampleBefore() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("one", "two", "three")
	shown, err := s.bob.Messages(ctx, chat.Limit(1))
	if err != nil {
		log.Fatal(err)
	}
	for m, err := range s.bob.History(ctx, conv.ID, chat.Before(shown[0])) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Body)
	}
	// Output:
	// two
	// one
}

func ExamplePageSize() {
	s := newStage()
	defer s.close()
	conv := s.talk("one", "two", "three")
	before := s.server.Count(fliplettest.CrossSource)
	for m, err := range s.bob.History(context.Background(), conv.ID, chat.PageSize(2)) {
		fmt.Println(m.Body, err)
		break
	}
	fmt.Println(s.server.Count(fliplettest.CrossSource)-before, "request")
	// Output:
	// three <nil>
	// 1 request
}

func ExampleConversation_Messages() {
	s := newStage()
	defer s.close()
	history := s.talk("one", "two").Messages() // a handle; no request yet
	msgs, err := history.Fetch(context.Background())
	fmt.Println(len(msgs), err)
	// Output: 2 <nil>
}

func ExampleConversationMessages_Get() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("hello")
	sent, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "please look"})
	if err != nil {
		log.Fatal(err)
	}
	m, err := conv.Messages().Get(ctx, sent.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Body)
	_, err = conv.Messages().Get(ctx, sent.ID+1)
	fmt.Println(errors.Is(err, chat.ErrNotFound))
	// Output:
	// please look
	// true
}

// Fetch looks at columns, unlike Chat.Messages.
func ExampleConversationMessages_Fetch() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("hello")
	for _, body := range []string{"please look", "thank you"} {
		if _, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: body, Data: chat.M{"priority": "high"}}); err != nil {
			log.Fatal(err)
		}
	}
	msgs, err := conv.Messages().Fetch(ctx, chat.Where(chat.M{"priority": "high"}))
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range msgs {
		fmt.Println(m.Body)
	}
	// Output:
	// please look
	// thank you
}

// Read messages are left out, so marking again makes no request.
func ExampleChat_MarkMessagesAsRead() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.talk("one", "two")
	unread, err := s.bob.Unread().Get(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := s.bob.MarkMessagesAsRead(ctx, unread...); err != nil {
		log.Fatal(err)
	}
	n, err := s.bob.Unread().Count(ctx)
	fmt.Println(len(unread), n, err, unread[0].IsReadByCurrentUser)
	// Output: 2 0 <nil> true
}

// What one has written oneself is read.
func ExampleChat_Unread() {
	s := newStage()
	defer s.close()
	s.talk("one", "two")
	for _, who := range []*chat.Chat{s.jane, s.bob} {
		n, err := who.Unread().Count(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(who.User().Data["Name"], n)
	}
	// Output:
	// Jane 0
	// Bob 2
}

func ExampleUnread_Get() {
	s := newStage()
	defer s.close()
	s.talk("one", "two")
	unread, err := s.bob.Unread().Get(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range unread {
		fmt.Println(m.Body)
	}
	// Output:
	// one
	// two
}

func ExampleUnread_Count() {
	s := newStage()
	defer s.close()
	s.talk("one", "two")
	ctx := context.Background()
	n, err := s.bob.Unread().Count(ctx)
	fmt.Println(n, err)
	unread, err := s.bob.Unread().Get(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := s.bob.MarkMessagesAsRead(ctx, unread[0]); err != nil {
		log.Fatal(err)
	}
	n, err = s.bob.Unread().Count(ctx)
	fmt.Println(n, err)
	// Output:
	// 2 <nil>
	// 1 <nil>
}

// Content is uploaded with the message. In a chat that encrypts, the file can be
// had with the conversation's key only; Download sends it along.
func ExampleChat_Download() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	_, err := s.jane.Message(ctx, conv.ID, chat.Draft{Files: []chat.File{{Name: "notes.txt", Content: []byte("bring cake")}}})
	if err != nil {
		log.Fatal(err)
	}
	msgs, err := s.bob.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	contentType, n, err := s.bob.Download(ctx, msgs[0], 0, &file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(contentType, n, file.String())
	// Output: text/plain 10 bring cake
}

func ExampleProgress() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	m, err := s.jane.Message(ctx, s.talk().ID, chat.Draft{
		Files: []chat.File{{Name: "big.txt", Content: bytes.Repeat([]byte("x"), 1<<20)}},
	})
	if err != nil {
		log.Fatal(err)
	}
	var last int64
	_, n, err := s.jane.Download(ctx, m, 0, io.Discard, chat.Progress(func(got, _ int64) { last = got }))
	fmt.Println(n, last, err)
	// Output: 1048576 1048576 <nil>
}

// deletedAt is there and null on live messages, as JavaScript clients expect.
func ExampleMessage_MarshalJSON() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.talk("hello")
	msgs, err := s.bob.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	b, err := json.Marshal(msgs[0])
	if err != nil {
		log.Fatal(err)
	}
	var js map[string]any
	if err := json.Unmarshal(b, &js); err != nil {
		log.Fatal(err)
	}
	deleted, there := js["deletedAt"]
	fmt.Println(js["data"].(map[string]any)["body"], there, deleted, js["isReadByCurrentUser"])
	// Output: hello true <nil> false
}

// A message prints without its content, so that none gets into a log.
func ExampleMessage_Format() {
	fmt.Printf("%+v\n", chat.Message{ID: 7, ConversationID: 3, FromUserID: "u-jane", Body: "secret"})
	// Output: message 7 in conversation 3 from "u-jane"
}

// A contact marshals without its chat token.
func ExampleContact_MarshalJSON() {
	s := newStage()
	defer s.close()
	user := s.jane.User()
	b, err := json.Marshal(user)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(string(b), "jane@example.org"), strings.Contains(string(b), "flUserToken"))
	// Output: true false
}

func ExampleContact_Format() {
	s := newStage()
	defer s.close()
	fmt.Println(strings.Contains(fmt.Sprintf("%+v", s.jane.User()), "jane@example.org"))
	// Output: false
}

func ExampleChat_BatchSize() {
	s := newStage()
	defer s.close()
	fmt.Println(s.jane.BatchSize())
	// Output: 200
}
