package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/term"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// maxBody is how much of standard input is sent.
const maxBody = 1 << 20

type sendCmd struct {
	Conversation int64    `short:"c" required:"" placeholder:"ID" help:"The conversation; flchat conversations lists them."`
	Body         []string `arg:"" optional:"" sep:"none" help:"The message. Without it, or with -, standard input is sent."`
	Files        []string `name:"file" sep:"none" type:"path" placeholder:"FILE" help:"Attach this file; may be given several times."`
	GUID         string   `name:"guid" placeholder:"UUID" help:"The id of the message. Sent again with the same one, it arrives once."`
}

// Run sends one message.
func (cmd *sendCmd) Run(a *app) error {
	if cmd.Conversation <= 0 {
		return usagef("-c: give the id of a conversation; flchat conversations lists them")
	}
	named := cmd.GUID != ""
	if named {
		id, err := uuid.Parse(cmd.GUID)
		if err != nil {
			return usagef("--guid: give a UUID such as %s, or leave it out", uuid.New())
		}
		cmd.GUID = id.String()
	}
	draft := chat.Draft{GUID: cmd.GUID}
	for _, path := range cmd.Files {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe may have nobody who writes
			return usagef("--file: %s is no file", path)
		}
		f, err := os.Open(path) //nolint:gosec // the user names it
		if err != nil {
			return usagef("--file: %s", err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return usagef("--file: %s is no file", path)
		}
		draft.Files = append(draft.Files, chat.File{Name: filepath.Base(path), Reader: f, Size: info.Size()})
	}
	var err error
	if draft.Body, err = cmd.body(a); err != nil {
		return err
	}
	if strings.TrimSpace(draft.Body) == "" && len(draft.Files) == 0 {
		return usagef("there is nothing to send: write the message behind the flags, or into standard input")
	}
	c, err := a.Connect(a.ctx)
	if err != nil {
		return err
	}
	if named {
		if err := cmd.unused(a, c, draft.Body); err != nil {
			return err
		}
	} else {
		draft.GUID = uuid.NewString()
	}
	a.ifCut(again(draft.GUID), exitInterrupted)
	m, err := c.Message(a.ctx, cmd.Conversation, draft)
	if err != nil {
		if datasource.Doubtful(err) || a.ctx.Err() != nil {
			a.errs.Printf("flchat: %s\n", again(draft.GUID))
		}
		return err
	}
	a.ifCut(fmt.Sprintf("message %d was sent", m.ID), exitInterrupted)
	n := newNames(c)
	if a.out.json {
		return (&talk{a: a, names: n}).show(a.ctx, eventMessage, m)
	}
	a.out.Printf("Message %d was sent to %s.\n", m.ID, n.conversation(a.ctx, m.ConversationID))
	return nil
}

// unused makes sure that no other message of the sender's has the id: this one would come beside it.
func (cmd *sendCmd) unused(a *app, c *chat.Chat, body string) error {
	found, err := c.Messages(a.ctx, chat.In(cmd.Conversation), chat.WhereRow(chat.M{"data": chat.M{"guid": cmd.GUID}}))
	if err != nil {
		return err
	}
	var other int64
	what := ""
	for _, m := range found {
		switch {
		case m.GUID != cmd.GUID || m.FromUserID != c.User().UserID:
		case m.Err == nil && m.Body != body:
			other, what = m.ID, "another text; leave --guid out to send a new message, or repeat the text of that one"
		case m.Err == nil && a.Encrypt && m.Protection == chat.Plain:
			other, what = m.ID, "is not encrypted; leave --encrypt out to repeat it, or --guid to send a new message"
		default: // one that cannot be read may be this one
			return nil
		}
	}
	if other != 0 {
		return usagef("--guid: message %d has this id and %s", other, what)
	}
	return nil
}

func again(guid string) string {
	return "it may have been sent; send the same again with --guid " + guid + ", and it arrives once"
}

// body is what to send: the arguments, or standard input.
func (cmd *sendCmd) body(a *app) (string, error) {
	if len(cmd.Body) > 0 && (len(cmd.Body) != 1 || cmd.Body[0] != "-") {
		return checkBody(strings.Join(cmd.Body, " "))
	}
	if len(cmd.Body) == 0 && len(cmd.Files) > 0 {
		return "", nil
	}
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor
		a.errs.Printf("Write the message, and end it with Ctrl-D on a line of its own:\n")
	}
	text, err := readAll(a.ctx, a.stdin, maxBody)
	if err != nil {
		return "", err
	}
	return checkBody(strings.TrimRight(string(text), "\r\n"))
}

func checkBody(body string) (string, error) {
	switch {
	case !utf8.ValidString(body):
		return "", usagef("the message is no UTF-8 text; attach it with --file")
	case len(body) > maxBody:
		return "", usagef("the message is longer than %d bytes; attach it with --file", maxBody)
	}
	return body, nil
}

// readAll reads up to a limit and a byte more. It ends with ctx, although a terminal goes on waiting.
func readAll(ctx context.Context, r io.Reader, limit int64) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(r, limit+1))
		read <- result{text, err}
	}()
	select {
	case got := <-read:
		if got.err != nil {
			return nil, fmt.Errorf("standard input: %w", got.err)
		}
		return got.text, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
