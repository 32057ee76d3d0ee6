package main

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// globals are the flags of all commands. There is none for a token: a command line can be
// read by everybody on the machine. "from" is the variable that a flag defaults to.
type globals struct {
	TokenFile  string `placeholder:"FILE" from:"FLIPLET_TOKEN_FILE" help:"Read the token from this file. Without one it is FLIPLET_TOKEN, or in the configuration, or asked for."`
	Region     string `placeholder:"eu|us|ca" enum:"eu,us,ca," default:"" from:"FLIPLET_REGION" help:"The region of the app. Default: that of the token."`
	URL        string `name:"url" placeholder:"URL" from:"FLIPLET_API_URL" help:"Another address of the API, such as that of a local Fliplet."`
	Contacts   int64  `placeholder:"ID" from:"FLIPLET_CONTACTS" help:"The data source of the contacts."`
	PrimaryKey string `placeholder:"COLUMN" from:"FLIPLET_PRIMARY_KEY" help:"The column that identifies a contact. Default: that of --as."`
	App        int64  `placeholder:"ID" from:"FLIPLET_APP_ID" help:"The app of the conversations. Default: that of the token."`
	As         string `placeholder:"COLUMN=VALUE" from:"FLIPLET_AS" help:"Who you are: a column of the contacts and its value, such as Email=jane@example.org."`
	Encrypt    bool   `from:"FLIPLET_ENCRYPT" help:"Encrypt what is sent. What is read is decrypted in any case."`
	Local      bool   `help:"Use a local Fliplet with a few people in it, which ends with the command."`
	Output     string `short:"o" placeholder:"auto|text|json" enum:"auto,text,json" default:"auto" from:"FLCHAT_OUTPUT" help:"text is for people, json is one object a line; auto is text on a terminal and json elsewhere."`
	NoColor    bool   `help:"No colours. NO_COLOR in the environment says the same."`
	Config     string `placeholder:"FILE" from:"FLCHAT_CONFIG" help:"The configuration. Default: flchat/config.json in your directory of configurations."`
}

// apis are the addresses of the regions.
var apis = map[string]string{"eu": "https://api.fliplet.com", "us": "https://us.api.fliplet.com", "ca": "https://ca.api.fliplet.com"}

// Client is a client with the token, for commands that need no person. All calls return
// the same one, so that everything keeps to one limit.
func (a *app) Client(ctx context.Context) (*datasource.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	if a.Local {
		if err := a.startLocal(ctx); err != nil {
			return nil, err
		}
	}
	token, err := a.token(ctx)
	if err != nil {
		return nil, err
	}
	base := a.URL
	if base == "" {
		base = apis[a.Region]
		if of, _, ok := strings.Cut(token, "--"); ok && base != "" && apis[strings.ToLower(of)] != "" && !strings.EqualFold(of, a.Region) {
			return nil, usagef("--region %s: the token belongs to %s; leave the flag out, or give a token of an app in %s", a.Region, strings.ToLower(of), a.Region)
		}
	}
	cfg := datasource.Config{Token: token, BaseURL: base, UserAgent: "flchat"}
	if a.transport != nil {
		cfg.HTTPClient = &http.Client{Transport: a.transport}
	}
	client, err := datasource.NewClient(cfg)
	if err != nil {
		return nil, usagef("%s; the address comes from --url or --region, the token from %s", err, a.tokenFrom)
	}
	a.client = client
	return client, nil
}

// Connect is a Chat in which --as is logged in. It ends with the program. options may
// change what the flags say.
func (a *app) Connect(ctx context.Context, options ...func(*chat.Options)) (*chat.Chat, error) {
	c, err := a.open(ctx, options...)
	if err != nil {
		return nil, err
	}
	query, err := a.login()
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(ctx, query); err != nil {
		return nil, err
	}
	return c, nil
}

// open is a Chat without a login.
func (a *app) open(ctx context.Context, options ...func(*chat.Options)) (*chat.Chat, error) {
	client, err := a.Client(ctx)
	if err != nil {
		return nil, err
	}
	if a.Contacts <= 0 {
		return nil, usagef("--contacts: give the id of the data source with the contacts, or set FLIPLET_CONTACTS")
	}
	key, _, _ := strings.Cut(a.As, "=")
	if a.PrimaryKey != "" {
		key = a.PrimaryKey
	}
	opts := chat.Options{
		Client: client, DataSourceID: a.Contacts, PrimaryKey: key, AppID: a.App, EncryptMessages: a.Encrypt,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, change := range options {
		change(&opts)
	}
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	a.atEnd(func() { _ = c.Close() })
	return c, nil
}

// login is what --as asks for.
func (a *app) login() (chat.M, error) {
	column, value, ok := strings.Cut(a.As, "=")
	column, value = strings.TrimSpace(column), strings.TrimSpace(value)
	if !ok || column == "" || value == "" {
		return nil, usagef("--as: say who you are by a column of the contacts and its value, such as --as Email=jane@example.org, or set FLIPLET_AS")
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && strconv.FormatInt(n, 10) == value {
		return chat.M{"$or": []chat.M{{column: n}, {column: value}}}, nil // either may be stored
	}
	return chat.M{column: value}, nil
}

// atEnd calls f when the program ends.
func (a *app) atEnd(f func()) { a.closers = append(a.closers, f) }

func (a *app) close() {
	for len(a.closers) > 0 {
		last := len(a.closers) - 1
		f := a.closers[last]
		a.closers = a.closers[:last]
		f()
	}
}
