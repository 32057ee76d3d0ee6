package chat_test

import (
	"context"
	"fmt"
	"log"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// An exporter reads rows with a client and nobody's login.
func ExampleNewOpener() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	if _, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "hello"}); err != nil {
		log.Fatal(err)
	}

	source, err := s.server.Client().DataSource(ctx, conv.ID)
	if err != nil {
		log.Fatal(err)
	}
	opener, err := chat.NewOpener(chat.OpenerOptions{Source: source})
	if err != nil {
		log.Fatal(err)
	}
	rows, err := s.server.Client().Find(ctx, conv.ID, datasource.Query{
		Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}}, // of copies the first counts
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range rows {
		m := opener.Message(ctx, row)
		fmt.Println(m.Body, m.Protection, m.Err)
	}
	// Output: hello encrypted <nil>
}

// What a member may read, a program goes on to read after Close.
func ExampleConversation_Opener() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	m, err := s.jane.Message(ctx, conv.ID, chat.Draft{Body: "hello"})
	if err != nil {
		log.Fatal(err)
	}
	row, err := s.server.Client().FindByID(ctx, conv.ID, m.ID)
	if err != nil {
		log.Fatal(err)
	}
	opener := conv.Opener()
	s.jane.Close()
	fmt.Println(opener.Message(ctx, *row).Body)
	// Output: hello
}

// A body that does not open is a message with an Err.
func ExampleOpener_Message() {
	opener, err := chat.NewOpener(chat.OpenerOptions{Source: &datasource.DataSource{
		ID: 7, Definition: []byte(`{"encryptionKey":"0123456789abcdefghijABCDEFGHIJxy"}`),
	}})
	if err != nil {
		log.Fatal(err)
	}
	m := opener.Message(context.Background(), datasource.Entry{ID: 1, Data: chat.M{"body": "U2FsdGVkX1 cut off"}})
	fmt.Println(m.Body)
	fmt.Println(m.Err)
	// Output:
	// U2FsdGVkX1 cut off
	// chat: read body: the body cannot be read: the body is damaged ciphertext: envelope: the ciphertext is not canonical base64
}

// Fliplet's sync agent encrypts columns under the key in the keystore.
func ExampleOpener_Columns() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.agentKey("0123456789abcdefghijABCDEFGHIJxy")
	sealed, err := envelope.SealPassphrase("Zoë", "0123456789abcdefghijABCDEFGHIJxy") // as the agent does
	if err != nil {
		log.Fatal(err)
	}
	row := datasource.Entry{ID: 1, DataSourceID: 55, Data: chat.M{"First Name": sealed, "Email": "zoe@example.org"}}

	keys, err := chat.NewKeystore(s.server.Client(), chat.KeystoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	opener, err := chat.NewOpener(chat.OpenerOptions{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	columns, err := opener.Columns(ctx, row)
	fmt.Println(columns["First Name"], columns["Email"], err)
	// Output: Zoë zoe@example.org <nil>
}

func ExampleOpener_Format() {
	opener, err := chat.NewOpener(chat.OpenerOptions{Source: &datasource.DataSource{ID: 7}})
	fmt.Printf("%+v %v\n", opener, err)
	// Output: chat.Opener(conversation 7, redacted) <nil>
}

func ExampleOpenerOptions_Format() {
	fmt.Printf("%+v\n", chat.OpenerOptions{Source: &datasource.DataSource{ID: 7}})
	// Output: chat.OpenerOptions(redacted)
}
