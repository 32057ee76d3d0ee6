package main

import (
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
)

type verifyCmd struct {
	File string `arg:"" type:"path" placeholder:"FILE" help:"The archive."`
	Seal string `placeholder:"HASH" help:"Compare the archive with the seal that flchat export has printed."`
}

// Run says whether an archive is as it was written.
func (v *verifyCmd) Run(a *app) error {
	file, err := archive.Open(a.ctx, v.File)
	if err != nil {
		return archiveError(err)
	}
	defer file.Close()
	a.exposed(v.File)
	found, err := file.Verify(a.ctx)
	if err != nil {
		return archiveError(err)
	}
	other := v.Seal != "" && v.Seal != found.Seal
	if a.out.json {
		if err := a.out.JSON(map[string]any{
			"file": v.File, "records": found.Records, "chains": found.Chains, "files": found.Files, "seal": found.Seal, "sealMatches": !other, "damage": append([]archive.Damage{}, found.Damage...),
		}); err != nil {
			return err
		}
	} else {
		for _, d := range found.Damage {
			a.out.Printf("%s %s\n", a.out.Paint(red, "damaged:"), safe(d.What))
		}
		if other {
			a.out.Printf("%s this is not the archive of that seal; its own is %s\n", a.out.Paint(red, "another:"), found.Seal)
		}
		if len(found.Damage) == 0 && !other {
			a.out.Printf("%s %s, %s and %s are as they were written.\nSeal: %s\n", a.out.Paint(green, "intact:"), counted(found.Records, "record"), counted(found.Chains, "chain"), counted(found.Files, "file"), found.Seal)
		}
	}
	if other || len(found.Damage) > 0 {
		return exitError(exitOther)
	}
	return nil
}
