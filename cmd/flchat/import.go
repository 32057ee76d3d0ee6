package main

import (
	"context"
	"errors"
	"log/slog"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive/importer"
)

type importCmd struct {
	File          string  `arg:"" type:"path" placeholder:"FILE" help:"The archive."`
	Write         bool    `help:"Write. Without it, say what would be written, and write nothing."`
	Conversations []int64 `name:"conversation" short:"c" placeholder:"ID" help:"Only these conversations of the archive."`
	ArchiveKey    string  `placeholder:"COLUMN" help:"The column of the archive's contacts that has what --primary-key has in the other app. Default: the primary key of the export."`
	NoFiles       bool    `help:"Leave attachments out."`
}

// Run writes an archive into another app, or says what that would write.
func (i *importCmd) Run(a *app) error {
	file, err := archive.Open(a.ctx, i.File)
	if err != nil {
		return archiveError(err)
	}
	defer file.Close()
	client, err := a.Client(a.ctx)
	if err != nil {
		return err
	}
	if a.Contacts <= 0 {
		return usagef("--contacts: give the id of the data source with the other app's contacts, or set FLIPLET_CONTACTS")
	}
	bar := newMeter(a.errs, a.now)
	plan, err := importer.Prepare(a.ctx, importer.Options{
		Archive: file, Key: i.ArchiveKey, Conversations: i.Conversations, NoFiles: i.NoFiles,
		To: chat.Options{
			Client: client, DataSourceID: a.Contacts, AppID: a.App, PrimaryKey: a.primaryKey(), EncryptMessages: a.Encrypt,
			Logger: slog.New(slog.DiscardHandler),
		},
		Progress: func(done, total int64) {
			bar.show(archive.Progress{Phase: archive.Messages, Messages: done, Total: total})
		},
	})
	if err != nil {
		return archiveError(err)
	}
	if !i.Write {
		return i.describe(a, plan)
	}
	result, err := plan.Run(a.ctx)
	bar.end()
	if err != nil {
		what := "flchat: the import has ended before its end"
		if errors.Is(err, context.Canceled) {
			what = "flchat: stopped"
		}
		a.errs.Printf("%s after %s; the same command goes on from here\n", what, counted(result.Written, "message"))
		return archiveError(err)
	}
	if a.out.json {
		return a.out.JSON(map[string]any{"written": result.Written, "alreadyThere": result.There, "conversationsMade": result.Made, "files": result.Files, "notes": plan.Notes})
	}
	i.notes(a, plan)
	a.out.Printf("%s and %s were written, %s made; %s were there already.\n", counted(result.Written, "message"), counted(result.Files, "file"), counted(result.Made, "conversation"), counted(result.There, "message"))
	return nil
}

// describe says what would be written.
func (i *importCmd) describe(a *app, plan *importer.Plan) error {
	if a.out.json {
		return a.out.JSON(map[string]any{"dryRun": true, "messages": plan.Total(), "conversations": plan.Conversations, "notes": plan.Notes})
	}
	for _, c := range plan.Conversations {
		where := "a new conversation"
		switch {
		case c.Imported:
			where = "conversation " + number(c.Into) + " of an import before"
		case c.Into != 0:
			where = "conversation " + number(c.Into) + ", in which the same people are"
		}
		a.out.Printf("%s  %s: %s and %s of %s, into %s\n", number(c.ID), safe(c.Name), counted(c.Messages, "message"), counted(c.Files, "file"), counted(int64(c.People), "member"), where)
	}
	i.notes(a, plan)
	a.out.Printf("This would write %s, except those that are there already. Nothing was written: give --write for that.\n", counted(plan.Total(), "message"))
	return nil
}

func (i *importCmd) notes(a *app, plan *importer.Plan) {
	for _, n := range plan.Notes {
		a.out.Printf("%s %s\n", a.out.Paint(yellow, "note:"), safe(n))
	}
}
