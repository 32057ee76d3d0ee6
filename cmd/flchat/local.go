package main

import (
	"context"
	"log/slog"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
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
		a.As = "Email=" + demoPerson
	}
	return demoLogin(ctx, demo)
}

// demoPerson is who has chatted before in the local Fliplet, so that there is everything to look at.
const demoPerson = "jane@example.org"

func demoLogin(ctx context.Context, demo *flipletlocal.Demo) error {
	client, err := datasource.NewClient(datasource.Config{Token: demo.Token, BaseURL: demo.URL})
	if err != nil {
		return err
	}
	c, err := chat.Connect(ctx, chat.Options{Client: client, DataSourceID: demo.Contacts, PrimaryKey: "Email", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Login(ctx, chat.M{"Email": demoPerson})
	return err
}

// started lets the server end its requests, once it has said that it serves.
type started struct{ a *app }

func (s *started) Write(b []byte) (int, error) {
	n, err := s.a.out.Write(b)
	s.a.patience.Store(int64(localGrace))
	return n, err
}

// localGrace is more than a local Fliplet gives its requests.
const localGrace = 6 * time.Second

type localCmd struct {
	Args []string `arg:"" optional:"" help:"Flags of the local Fliplet."`
}

// Run is fliplet-local.
func (cmd *localCmd) Run(a *app) error {
	code := flipletlocal.Run(a.ctx, cmd.Args, &started{a}, a.errs)
	if code == 0 {
		return nil
	}
	return exitError(code)
}
