package main

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/internal/flipletlocal"
)

// startLocal starts a local Fliplet in this process, and points everything at it.
func (a *app) startLocal(ctx context.Context) error {
	demo, err := flipletlocal.StartDemo(ctx)
	if err != nil {
		return err
	}
	a.atEnd(demo.Close)
	a.URL, a.localToken, a.Region, a.Contacts, a.App, a.PrimaryKey = demo.URL, demo.Token, "", demo.Contacts, 0, "Email"
	if a.As == "" {
		a.As = "Email=jane@example.org"
	}
	return nil
}

type localCmd struct {
	Args []string `arg:"" optional:"" help:"Flags of the local Fliplet."`
}

// Run is fliplet-local.
func (cmd *localCmd) Run(a *app) error {
	code := flipletlocal.Run(a.ctx, cmd.Args, a.out, a.errs)
	if code == 0 {
		return nil
	}
	return exitError(code)
}
