package main

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// world is the Fliplet that the chats are on.
type world struct {
	where  string
	config config
	local  *fliplettest.Server // nil for a real account
	folder string              // of the other process
}

// ownFolder makes the folder in which the other process keeps what it has to remember.
func (w *world) ownFolder() (err error) {
	w.folder, err = os.MkdirTemp("", "webchat-")
	w.config.File = filepath.Join(w.folder, "chats.db")
	w.config.Knock = rand.Text()
	return err
}

func (w *world) close() {
	if w.local != nil {
		w.local.Close()
	}
	if w.folder != "" {
		_ = os.RemoveAll(w.folder) //nolint:gosec // made above; the other process may still be ending
	}
}

// newLocalWorld starts a local Fliplet with a few people who have talked already.
func newLocalWorld(ctx context.Context) (*world, error) {
	server, err := fliplettest.Start()
	if err != nil {
		return nil, err
	}
	w := &world{where: "over a local Fliplet", local: server}
	contacts, err := w.tell(ctx)
	w.config.URL, w.config.Token, w.config.Contacts, w.config.App = server.URL, server.Token, contacts, server.AppID
	w.config.PrimaryKey, w.config.Bot, w.config.Local = "Email", "robo@example.org", true
	for _, p := range cast[:len(cast)-1] { // the bot has no page
		w.config.People = append(w.config.People, person{As: p.as, Name: p.name, Login: p.as + "@example.org"})
	}
	if err = errors.Join(err, w.ownFolder()); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// cast is who there is.
var cast = []struct{ as, name, title string }{
	{"jane", "Jane Doe", "Product design"},
	{"bob", "Bob Roe", "Engineering"},
	{"mia", "Mia Holm", "Marketing"},
	{"ravi", "Ravi Sen", "Support"},
	{"lena", "Lena Voss", "Operations"},
	{"robo", "Robo", "Bot · try /help"},
}

// teller makes what happened before.
type teller struct {
	server *fliplettest.Server
	chats  map[string]*chat.Chat
	ids    map[string]int64 // of contacts
	reads  map[string][]*chat.Message
	now    time.Time
	err    error // the first one; nothing happens after it
}

// tell lets people talk in the past. It returns the data source of the contacts.
func (w *world) tell(ctx context.Context) (int64, error) {
	t := &teller{server: w.local, chats: map[string]*chat.Chat{}, ids: map[string]int64{}, reads: map[string][]*chat.Message{}, now: time.Now()}
	defer w.local.ThawClock()
	var rows []datasource.M
	for _, p := range cast {
		rows = append(rows, datasource.M{"Email": p.as + "@example.org", "Full name": p.name, "Title": p.title})
	}
	contacts, ids := w.local.AddContacts(rows...)
	client := w.local.Client()
	defer client.CloseIdle()
	for i, p := range cast {
		c, err := chat.Connect(ctx, chat.Options{Client: client, DataSourceID: contacts, AppID: w.local.AppID, PrimaryKey: "Email", EncryptMessages: true})
		if err != nil {
			return contacts, err
		}
		defer c.Close()
		if _, err := c.Login(ctx, chat.M{"Email": rows[i]["Email"]}); err != nil {
			return contacts, err
		}
		t.chats[p.as], t.ids[p.as] = c, ids[i]
	}
	t.story(ctx)
	return contacts, t.mark(ctx)
}

// mark makes all read marks, each person's at once.
func (t *teller) mark(ctx context.Context) error {
	if t.err != nil {
		return t.err
	}
	errs := make(chan error)
	for as, list := range t.reads {
		go func() { errs <- t.chats[as].MarkMessagesAsRead(ctx, list...) }()
	}
	var all []error
	for range t.reads {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// begin makes a conversation at a time before now.
func (t *teller) begin(ctx context.Context, ago time.Duration, as string, n chat.NewConversation, with ...string) int64 {
	t.server.FreezeClockAt(t.now.Add(-ago))
	for _, one := range with {
		n.Participants = append(n.Participants, t.ids[one])
	}
	conv, err := t.chats[as].Create(ctx, n)
	if err != nil {
		t.err = errors.Join(t.err, err)
		return 0
	}
	return conv.ID
}

// channel makes a channel that people have joined.
func (t *teller) channel(ctx context.Context, ago time.Duration, name string, members ...string) int64 {
	t.server.FreezeClockAt(t.now.Add(-ago))
	ch, err := t.chats[members[0]].Channels().Create(ctx, name)
	if err != nil {
		t.err = errors.Join(t.err, err)
		return 0
	}
	errs := make(chan error)
	for _, one := range members { // each looks again a little later whether another change has undone its own
		go func() { _, err := t.chats[one].Channels().Join(ctx, ch.ID); errs <- err }()
	}
	for range members {
		t.err = errors.Join(t.err, <-errs)
	}
	return ch.ID
}

// say sends a message at a time before now. readers have read it.
func (t *teller) say(ctx context.Context, conv int64, ago time.Duration, as string, d chat.Draft, readers ...string) *chat.Message {
	if t.err != nil {
		return nil
	}
	t.server.FreezeClockAt(t.now.Add(-ago))
	m, err := t.chats[as].Message(ctx, conv, d)
	if err != nil {
		t.err = err
		return nil
	}
	for _, one := range readers { // marking changes the message
		own := *m
		own.Data, own.ReadBy = maps.Clone(m.Data), slices.Clone(m.ReadBy)
		t.reads[one] = append(t.reads[one], &own)
	}
	return m
}
