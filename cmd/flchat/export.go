package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
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
	if e.Patience <= 0 {
		return usagef("--patience: %v; give a time above 0, such as 1m", e.Patience)
	}
	client, err := a.Client(a.ctx)
	if err != nil {
		return err
	}
	if _, err := a.login(); err != nil {
		return err
	}
	if a.Contacts <= 0 {
		return usagef("--contacts: give the id of the data source with the contacts, or set FLIPLET_CONTACTS")
	}
	bar := newMeter(a.errs, a.now)
	result, err := archive.Export(a.ctx, archive.Options{
		Path: e.File, API: client.BaseURL(), Contacts: a.Contacts, PrimaryKey: a.primaryKey(),
		NoFiles: e.NoFiles, Patience: e.Patience, Progress: bar.show,
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) {
			return a.Connect(ctx, func(o *chat.Options) { o.Storage = store })
		},
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
			"conversations": result.Conversations, "contacts": result.Contacts, "gaps": result.Gaps, "seal": result.Seal,
		})
	}
	a.out.Printf("%s is up to date: %s in %s, with %s.\n", e.File, counted(result.Written, "new record"), counted(result.Conversations, "conversation"), counted(result.Contacts, "contact"))
	if result.Missing > 0 {
		a.out.Printf("%s could not be had; flchat view says which and why.\n", counted(result.Missing, "attachment"))
	}
	if result.Gaps > 0 {
		a.out.Printf("%s could not be read as they are stored; the archive has their ids and why.\n", counted(result.Gaps, "message"))
	}
	a.out.Printf("Seal: %s\nNote the seal somewhere else: flchat verify --seal compares it.\n", result.Seal)
	return nil
}

// primaryKey is the column that identifies a contact.
func (a *app) primaryKey() string {
	column, _, _ := strings.Cut(a.As, "=")
	return cmp.Or(a.PrimaryKey, strings.TrimSpace(column))
}

// exposed warns of an archive that others than its owner can read.
func (a *app) exposed(path string) {
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		a.errs.Printf("flchat: %s can be read by other people of this machine; chmod 600 it, unless they may\n", path)
	}
}

// archiveError gives errors of archives the exit status of mistakes, what a disk does apart.
func archiveError(err error) error {
	var usage *archive.UsageError
	if errors.As(err, &usage) {
		if archive.Disk(err) {
			return errors.New(usage.Text)
		}
		return usagef("%s", usage.Text)
	}
	return err
}
