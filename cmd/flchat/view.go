package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive/view"
)

type viewCmd struct {
	File          string  `arg:"" type:"path" placeholder:"FILE" help:"The archive."`
	HTML          string  `name:"html" type:"path" placeholder:"FILE" help:"Write one page of HTML with a search, pictures and plots. Without it, one JSON object for each message goes to the standard output."`
	Conversations []int64 `name:"conversation" short:"c" placeholder:"ID" help:"Only these conversations."`
	Since         string  `placeholder:"DATE" help:"Only messages from this day on, such as 2026-01-31."`
	Until         string  `placeholder:"DATE" help:"Only messages up to the end of this day."`
	Zone          string  `placeholder:"ZONE" help:"The time zone of days and hours, such as Europe/London. Default: that of this machine."`
	Versions      bool    `help:"With all versions of each message, in JSON."`
	NoPictures    bool    `help:"A page without pictures."`
}

// Run writes a view of an archive.
func (v *viewCmd) Run(a *app) error {
	o := view.Options{Conversations: v.Conversations, Versions: v.Versions, Zone: a.zone, LargestPicture: 5 << 20, Pictures: 500 << 20}
	if v.NoPictures {
		o.LargestPicture, o.Pictures = 0, 0
	}
	var err error
	if v.Zone != "" {
		if o.Zone, err = time.LoadLocation(v.Zone); err != nil {
			return usagef("--zone: %q is no time zone; give one such as Europe/London or UTC", v.Zone)
		}
	}
	if o.Since, err = dayOf("--since", v.Since, o.Zone); err != nil {
		return err
	}
	if o.Until, err = dayOf("--until", v.Until, o.Zone); err != nil {
		return err
	}
	if !o.Since.IsZero() && !o.Until.IsZero() && o.Until.Before(o.Since) {
		return usagef("--since %s is after --until %s: exchange them", v.Since, v.Until)
	}
	if v.HTML != "" && archive.Belongs(v.HTML, v.File) {
		return usagef("--html: %s is an archive, or belongs to one, and would be lost: give another file", v.HTML)
	}
	if !o.Until.IsZero() {
		o.Until = o.Until.AddDate(0, 0, 1)
	}
	file, err := archive.Open(a.ctx, v.File)
	if err != nil {
		return archiveError(err)
	}
	defer file.Close()
	a.exposed(v.File)
	if v.HTML == "" {
		return archiveError(view.NDJSON(a.ctx, file, a.out, o))
	}
	err = writeWhole(v.HTML, func(w io.Writer) error { return view.HTML(a.ctx, file, w, o) })
	if err != nil {
		if errors.Is(err, context.Canceled) {
			a.errs.Printf("flchat: stopped; %s was not written, and the same command begins it again\n", v.HTML)
		}
		return archiveError(err)
	}
	a.errs.Printf("%s is written: open it in a browser.\n", v.HTML)
	return nil
}

// dayOf is the beginning of a day; zero for none.
func dayOf(flag, text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return t, usagef("%s: %q is no day; give one such as 2026-01-31", flag, text)
	}
	return t, nil
}

// writeWhole writes a file that is there as a whole or not at all. A link stays one, and what is no
// file, such as a pipe or a device, is written into rather than replaced.
func writeWhole(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return usagef("%s is a folder: give the name of a file in it", path)
	} else if err == nil && !info.Mode().IsRegular() {
		pipe, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // it is the file that was asked for
		if err != nil {
			return usagef("%s cannot be written: %s", path, err)
		}
		return errors.Join(write(pipe), pipe.Close())
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".flchat-*") // for its owner alone
	if err != nil {
		return usagef("%s cannot be written: %s", path, err)
	}
	defer os.Remove(temp.Name())
	if err := errors.Join(write(temp), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return usagef("%s cannot be written: %s", path, err)
	}
	return nil
}
