package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// globals are the flags of all commands. There is none for a token: a command line can be
// read by everybody on the machine.
type globals struct {
	TokenFile  string `placeholder:"FILE" env:"FLIPLET_TOKEN_FILE" help:"Read the token from this file. Default: the environment's FLIPLET_TOKEN, then the configuration, then a question."`
	Region     string `placeholder:"eu|us|ca" env:"FLIPLET_REGION" help:"The region of the app. Default: that of the token."`
	URL        string `name:"url" placeholder:"URL" env:"FLIPLET_URL" help:"Another address of the API, such as that of a local Fliplet."`
	Contacts   int64  `placeholder:"ID" env:"FLIPLET_CONTACTS" help:"The data source of the contacts."`
	PrimaryKey string `placeholder:"COLUMN" env:"FLIPLET_PRIMARY_KEY" help:"The column that identifies a contact, such as Email."`
	App        int64  `placeholder:"ID" env:"FLIPLET_APP" help:"The app. Default: that of the token."`
	As         string `placeholder:"COLUMN=VALUE" env:"FLIPLET_AS" help:"Who you are: a column of the contacts and its value."`
	Encrypt    bool   `env:"FLIPLET_ENCRYPT" help:"Encrypt what is sent."`
	Output     string `short:"o" enum:"auto,text,json" default:"auto" help:"text for people, json for one object a line, auto for text on a terminal and json elsewhere."`
	NoColor    bool   `env:"NO_COLOR" help:"No colours, also with NO_COLOR in the environment."`
	Config     string `placeholder:"FILE" env:"FLCHAT_CONFIG" help:"The configuration. Default: flchat/config.json in the user's directory of configurations."`

	closers []func()
}

func (a *app) configure() error { return nil }

func (a *app) close() {
	for _, f := range a.closers {
		f()
	}
}

// Client is a client with the token, for commands that need no person.
func (a *app) Client(_ context.Context) (*datasource.Client, error) {
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	client, err := datasource.NewClient(datasource.Config{Token: token, BaseURL: a.URL, UserAgent: "flchat"})
	if err != nil {
		return nil, usagef("%s", err)
	}
	return client, nil
}

// Connect is a Chat in which --as is logged in. It ends with the program.
func (a *app) Connect(ctx context.Context) (*chat.Chat, error) {
	if a.Contacts == 0 {
		return nil, usagef("no contacts: give the id of their data source with --contacts or FLIPLET_CONTACTS")
	}
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
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() { _ = c.Close() })
	if _, err := c.Login(ctx, chat.M{column: loginValue(value)}); err != nil {
		return nil, err
	}
	return c, nil
}

// loginValue is a number where that is what was typed: columns are compared by type.
func loginValue(value string) any {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && strconv.FormatInt(n, 10) == value {
		return n
	}
	return value
}

func (a *app) token() (string, error) {
	if a.TokenFile != "" {
		text, err := os.ReadFile(a.TokenFile)
		if err != nil {
			return "", usagef("--token-file: %s", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if token := os.Getenv("FLIPLET_TOKEN"); token != "" {
		return token, nil
	}
	return "", usagef("no token: put one into FLIPLET_TOKEN, or into a file and name it with --token-file")
}
