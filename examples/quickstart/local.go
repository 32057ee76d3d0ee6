package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// runLocal plays the whole story over a Fliplet inside this process.
func runLocal(ctx context.Context, out io.Writer, e env) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	server, err := fliplettest.Start(e.server...)
	if err != nil {
		return err
	}
	defer server.Close()
	contacts, _ := server.AddContacts(
		datasource.M{"Email": "jane@example.org", "Full name": "Jane"},
		datasource.M{"Email": "bob@example.org", "Full name": "Bob"},
		datasource.M{"Email": "eve@example.org", "Full name": "Eve"},
	)
	wire := server.Transport()
	if e.wire != nil {
		wire = e.wire(server)
	}
	client, err := datasource.NewClient(datasource.Config{
		Token: server.Token, BaseURL: server.URL, HTTPClient: &http.Client{Transport: wire},
		Limiter: datasource.Unlimited(), // the server is ours alone
	})
	if err != nil {
		return err
	}
	s := &story{
		out: out, client: client, alone: true,
		opts: chat.Options{
			Client: client, DataSourceID: contacts, AppID: server.AppID,
			PrimaryKey: "Email", EncryptMessages: true,
			LivePollInterval: 20 * time.Millisecond, // for a quick story; 2 s otherwise
		},
	}
	defer s.end()
	fmt.Fprintf(out, "A local Fliplet is running at %s; data source %d holds its contacts.\n", server.URL, contacts)

	s.chapter("Three people log in")
	people := map[string]*person{}
	for _, name := range []string{"Jane", "Bob", "Eve"} {
		p, err := s.join(ctx, name, "Email", strings.ToUpper(name)+"@example.org")
		if err != nil {
			return err
		}
		people[name] = p
	}
	jane, bob, eve := people["Jane"], people["Bob"], people["Eve"]

	private, err := s.twoPeople(ctx, jane, bob)
	if err != nil {
		return err
	}
	for _, chapter := range []func() error{
		func() error { return s.outsider(ctx, eve, private) },
		func() error { return s.group(ctx, jane, bob, eve) },
		func() error { return s.browser(ctx, eve, jane) },
	} {
		if err := chapter(); err != nil {
			return err
		}
	}
	return s.audit(ctx)
}

// outsider looks for a conversation through the eyes of somebody who is not in it.
func (s *story) outsider(ctx context.Context, p *person, private *chat.Conversation) error {
	s.chapter("%s is not in that conversation", p.name)
	if err := p.chat.Poll(ctx); err != nil {
		return err
	}
	if err := s.check(len(p.all()) == 0, "%s's stream got nothing", p.name); err != nil {
		return err
	}
	list, err := p.chat.Conversations(ctx)
	if err != nil {
		return err
	}
	if err := s.check(len(list) == 0, "%s has no conversation", p.name); err != nil {
		return err
	}
	msgs, err := p.chat.Messages(ctx)
	if err != nil {
		return err
	}
	if len(msgs) != 0 {
		return fmt.Errorf("%s was given %d messages of others", p.name, len(msgs))
	}
	if _, err := p.chat.Messages(ctx, chat.In(private.ID)); !errors.Is(err, chat.ErrNotFound) {
		return fmt.Errorf("asked for the conversation by its id, %s was told %v", p.name, err)
	}
	s.tick("asking for messages gives none, and by the conversation's id there is none")
	n, err := p.chat.Unread().Count(ctx)
	if err != nil {
		return err
	}
	return s.check(n == 0, "nothing counts as unread")
}

// group lets several people talk.
func (s *story) group(ctx context.Context, people ...*person) error {
	s.chapter("A group")
	first := people[0]
	var others []int64
	for _, p := range people[1:] {
		others = append(others, p.contactID)
	}
	conv, err := first.chat.Create(ctx, chat.NewConversation{Participants: others, Name: "Launch"})
	if err != nil {
		return err
	}
	if err := s.check(conv.IsNew && conv.IsGroup && conv.NParticipants == len(people),
		"%s opened %q with %d members", first.name, conv.Name, conv.NParticipants); err != nil {
		return err
	}
	last := people[len(people)-1]
	before, err := last.chat.Unread().Count(ctx)
	if err != nil {
		return err
	}
	for i, text := range []string{"Who brings the cake?", "I do 🎂", "And I bring the forks"} {
		if _, err := s.say(ctx, people[i%len(people)], conv, text); err != nil {
			return err
		}
	}
	after, err := last.chat.Unread().Count(ctx)
	if err != nil {
		return err
	}
	return s.check(after == before+2, "%s has %d unread messages, and has read what %s wrote", last.name, after, last.name)
}

// cryptoJS is what crypto-js, which Fliplet's own chat uses, made of a text and a
// passphrase.
//
//go:embed testdata/cryptojs.json
var cryptoJS []byte

// browser plays a JavaScript client by hand: a conversation made without this
// package, whose key and first body come from crypto-js.
func (s *story) browser(ctx context.Context, js, reader *person) error {
	s.chapter("%s writes from a browser", js.name)
	var made struct{ Library, Passphrase, Plaintext, Ciphertext string }
	if err := json.Unmarshal(cryptoJS, &made); err != nil {
		return err
	}
	definition, err := json.Marshal(chat.M{
		"participants":  []string{js.userID(), reader.userID()},
		"group":         chat.M{"readOnly": false},
		"encryptionKey": made.Passphrase,
	})
	if err != nil {
		return err
	}
	ds, err := s.client.CreateDataSource(ctx, datasource.NewDataSource{
		Name: "Group", Type: "conversation", AppID: s.opts.AppID, Definition: definition,
	})
	if err != nil {
		return err
	}
	guid := uuid.NewString()
	row, err := s.client.Insert(ctx, ds.ID, datasource.M{
		"body": made.Ciphertext, "fromUserId": js.userID(), "readBy": []string{js.userID()},
		"conversationId": ds.ID, "guid": guid,
	})
	if err != nil {
		return err
	}
	s.note("stored by %s: %s", made.Library, made.Ciphertext)
	conv, err := reader.chat.Create(ctx, chat.NewConversation{Participants: []int64{js.contactID}})
	if err != nil {
		return err
	}
	if err := s.check(conv.ID == ds.ID && !conv.IsNew, "%s finds the browser's conversation", reader.name); err != nil {
		return err
	}
	m := &chat.Message{ID: row.ID, ConversationID: ds.ID, GUID: guid, CreatedAt: row.CreatedAt}
	if err := s.arrives(ctx, js, conv, m, made.Plaintext); err != nil {
		return err
	}
	_, err = s.say(ctx, reader, conv, "I'll be there")
	return err
}
