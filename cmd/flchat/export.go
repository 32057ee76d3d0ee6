package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/storage"
)

type exportCmd struct {
	File     string        `arg:"" type:"path" placeholder:"FILE" help:"The archive, a file of SQLite. It is made if it is not there, and otherwise brought up to date."`
	NoFiles  bool          `help:"Leave attachments out."`
	Patience time.Duration `default:"1m" help:"How long the service may be away before the export ends."`
}

// Run brings an archive up to date.
func (e *exportCmd) Run(a *app) error {
	if a.Contacts == 0 {
		return usagef("no contacts: give the id of their data source with --contacts or FLIPLET_CONTACTS")
	}
	if e.Patience <= 0 {
		return usagef("--patience: %v; give a time above 0, such as 1m", e.Patience)
	}
	client, err := a.Client(a.ctx)
	if err != nil {
		return err
	}
	bar := newMeter(a.errs, a.now)
	result, err := archive.Export(a.ctx, archive.Options{
		Path: e.File, API: client.BaseURL(), Contacts: a.Contacts, PrimaryKey: a.PrimaryKey,
		NoFiles: e.NoFiles, Patience: e.Patience, Progress: bar.show, Connect: a.connectWith,
	})
	bar.end()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			a.errs.Printf("flchat: stopped after %s; %s is consistent, and the same command goes on from here\n", counted(result.Messages, "message"), e.File)
		} else if status(archiveError(err)) == exitService {
			a.errs.Printf("flchat: %s is consistent, and the same command goes on from here\n", e.File)
		}
		return archiveError(err)
	}
	if a.out.json {
		return a.out.JSON(map[string]any{
			"file": e.File, "messages": result.Messages, "records": result.Written, "bytes": result.Bytes, "missingFiles": result.Missing,
			"conversations": result.Conversations, "contacts": result.Contacts, "seal": result.Seal,
		})
	}
	a.out.Printf("%s is up to date: %s in %s, with %s.\n", e.File, counted(result.Written, "new record"), counted(result.Conversations, "conversation"), counted(result.Contacts, "contact"))
	if result.Missing > 0 {
		a.out.Printf("%s could not be had; flchat view says which and why.\n", counted(result.Missing, "attachment"))
	}
	a.out.Printf("Seal: %s\nNote the seal somewhere else: flchat verify --seal compares it.\n", result.Seal)
	return nil
}

// connectWith is Connect with a Storage.
func (a *app) connectWith(ctx context.Context, store storage.Store) (*chat.Chat, error) {
	column, value, ok := strings.Cut(a.As, "=")
	if !ok || column == "" || value == "" {
		return nil, usagef("--as: give a column of the contacts and its value, such as --as Email=jane@example.org")
	}
	client, err := a.Client(ctx)
	if err != nil {
		return nil, err
	}
	c, err := chat.Connect(ctx, chat.Options{
		Client: client, DataSourceID: a.Contacts, PrimaryKey: a.PrimaryKey, AppID: a.App, EncryptMessages: a.Encrypt,
		Storage: store, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(ctx, chat.M{column: loginValue(value)}); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// archiveError gives errors of archives the exit status of mistakes.
func archiveError(err error) error {
	var usage *archive.UsageError
	if errors.As(err, &usage) {
		return usagef("%s", usage.Text)
	}
	return err
}
