package chat

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// AppEnvironment is the [Environment] of an app in Fliplet Studio, read from the
// REST API: the settings of its chat and push notifications widgets, and the
// session of the client's token.
//
// The tokens of an app see its published version, so AppID has to be the id of that
// version (productionAppId).
type AppEnvironment struct {
	// Options are the options to start from. Client and AppID are required. What is
	// set here takes precedence over the chat widget's settings.
	Options Options
}

var _ Environment = AppEnvironment{}

// ChatSettings reads the settings of the app's chat widget. It makes one request.
//
// Errors: [ErrInvalid]; [ErrNoChatWidget]; what the server said.
func (e AppEnvironment) ChatSettings(ctx context.Context) (_ Options, err error) {
	defer wrap("chat settings", &err)
	opts := e.Options
	widget, err := e.widget(ctx, wire.ChatWidget, ErrNoChatWidget)
	if err != nil {
		return opts, err
	}
	opts.fill(widget)
	return opts, nil
}

// CurrentUser reads the session of the client's token. It returns the row of the data
// source that the person logged in with, or nil. It makes one request.
//
// Errors: [ErrInvalid]; what the server said.
func (e AppEnvironment) CurrentUser(ctx context.Context) (_ M, err error) {
	defer wrap("current user", &err)
	if err := e.check(); err != nil {
		return nil, err
	}
	var answer any
	if err := e.Options.Client.Call(ctx, http.MethodGet, "v1/session", nil, nil, &answer); err != nil {
		return nil, fmt.Errorf("current user: %w", err)
	}
	return wire.SessionRow(answer), nil
}

// PushEnabled reads the settings of the app's push notifications widget. It makes one
// request.
//
// Errors: [ErrInvalid]; [ErrNoPushWidget]; what the server said.
func (e AppEnvironment) PushEnabled(ctx context.Context) (_ bool, err error) {
	defer wrap("push settings", &err)
	widget, err := e.widget(ctx, wire.PushWidget, ErrNoPushWidget)
	return wire.PushOn(widget), err
}

func (e AppEnvironment) check() error {
	if e.Options.Client == nil {
		return invalid("AppEnvironment.Options.Client: nil; make one with datasource.NewClient, which needs a token")
	}
	if e.Options.AppID <= 0 {
		return invalid("AppEnvironment.Options.AppID: %d; give the id of the app", e.Options.AppID)
	}
	return nil
}

// widget reads the settings of a widget of the app, or returns absent.
func (e AppEnvironment) widget(ctx context.Context, name string, absent error) (M, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	app := strconv.FormatInt(e.Options.AppID, 10)
	var answer any
	err := e.Options.Client.Call(ctx, http.MethodGet, "v1/widget-instances/"+name, url.Values{"appId": {app}}, nil, &answer)
	if errors.Is(err, datasource.ErrNotFound) {
		return nil, fmt.Errorf("%w in app %s: %w", absent, app, err)
	}
	if err != nil {
		return nil, fmt.Errorf("settings of %s: %w", name, err)
	}
	settings, ok := wire.WidgetSettings(answer)
	if !ok {
		return nil, fmt.Errorf("%w in app %s", absent, app)
	}
	return settings, nil
}

// fill sets options that are not set from a chat widget's settings. Ids there are
// numbers or text.
func (o *Options) fill(settings M) {
	o.DataSourceID = cmp.Or(o.DataSourceID, wire.Int(settings["dataSourceId"]))
	o.PrimaryKey = cmp.Or(o.PrimaryKey, wire.Text(settings["primaryKey"]))
	o.CrossLogin = o.CrossLogin || wire.Bool(settings["crossLogin"])
	o.CrossLoginDataSourceID = cmp.Or(o.CrossLoginDataSourceID, wire.Int(settings["crossLoginDataSourceId"]))
	o.CrossLoginEmailKey = cmp.Or(o.CrossLoginEmailKey, wire.Text(settings["crossLoginEmailKey"]))
	o.CrossLoginContactsKey = cmp.Or(o.CrossLoginContactsKey, wire.Text(settings["crossLoginContactsKey"]))
}

// LocalEnvironment is an [Environment] of environment variables and a JSON file,
// for servers, bots and tools. Variables take precedence over the file:
//
//	FLIPLET_TOKEN                the token of the client
//	FLIPLET_BASE_URL             overrides the token's region
//	FLIPLET_APP_ID               Options.AppID
//	FLIPLET_MASTER_APP_ID        Options.MasterAppID
//	FLIPLET_CHAT_DATA_SOURCE_ID  Options.DataSourceID
//	FLIPLET_CHAT_PRIMARY_KEY     Options.PrimaryKey
//	FLIPLET_CHAT_USER            the current user's value of the primary key
//	FLIPLET_PUSH                 true or false
//
// The file holds any of
//
//	{
//	  "token": "eu--…", "baseURL": "https://…", "appId": 12, "masterAppId": 12,
//	  "chat": {"dataSourceId": 731, "primaryKey": "Email"},
//	  "push": {"configured": true},
//	  "user": {"Email": "jane@example.org"}
//	}
//
// where chat and push are the settings of Fliplet's widgets. Without "chat" and
// FLIPLET_CHAT_DATA_SOURCE_ID there is no chat; without "push" and FLIPLET_PUSH there
// are no push notifications. A file that holds a token should be readable only by
// its owner.
type LocalEnvironment struct {
	// File is the path of the file. Default: the variable FLIPLET_CONFIG; if that is
	// empty, too, no file is read.
	File string
	// Options are the options to start from, such as Storage and Push. What is set
	// here takes precedence over variables and file. With a Client no token is needed.
	Options Options
	// Getenv reads a variable; it returns "" if there is none. Default: os.Getenv.
	Getenv func(name string) string
}

var _ Environment = LocalEnvironment{}

// localFile is the content of the file. Ids are any, since they may be text.
type localFile struct {
	Token       string `json:"token"`
	BaseURL     string `json:"baseURL"`
	AppID       any    `json:"appId"`
	MasterAppID any    `json:"masterAppId"`
	Chat        M      `json:"chat"`
	Push        M      `json:"push"`
	User        M      `json:"user"`
}

// ChatSettings reads the options of the chat, and makes a client unless Options has
// one. It makes no request.
//
// Errors: [ErrNoChatWidget]; [ErrInvalid] for unusable values; those of reading the
// file.
func (e LocalEnvironment) ChatSettings(ctx context.Context) (_ Options, err error) {
	defer wrap("chat settings", &err)
	f, err := e.read(ctx)
	if err != nil {
		return e.Options, err
	}
	opts := e.Options
	var errs []error
	for _, id := range []struct {
		into *int64
		name string
		v    any
	}{{&opts.AppID, "appId", f.AppID}, {&opts.MasterAppID, "masterAppId", f.MasterAppID}} {
		n, err := readID(id.name, id.v)
		errs = append(errs, err)
		if *id.into == 0 {
			*id.into = n
		}
	}
	_, err = readID("chat.dataSourceId", f.Chat["dataSourceId"])
	errs = append(errs, err)
	opts.fill(f.Chat)
	if opts.Client == nil {
		opts.Client, err = datasource.NewClient(datasource.Config{Token: f.Token, BaseURL: f.BaseURL, Logger: opts.Logger})
		if err != nil {
			err = invalid("token or baseURL: set FLIPLET_TOKEN, or token in the file: %w", err)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return opts, err
	}
	if opts.DataSourceID == 0 {
		return opts, fmt.Errorf("%w: set FLIPLET_CHAT_DATA_SOURCE_ID, or chat in the file", ErrNoChatWidget)
	}
	return opts, nil
}

// CurrentUser reads the columns of the current user, nil if there is none.
//
// Errors: [ErrInvalid]; those of reading the file.
func (e LocalEnvironment) CurrentUser(ctx context.Context) (_ M, err error) {
	defer wrap("current user", &err)
	f, err := e.read(ctx)
	return f.User, err
}

// PushEnabled reads whether push notifications are on.
//
// Errors: [ErrNoPushWidget]; [ErrInvalid]; those of reading the file.
func (e LocalEnvironment) PushEnabled(ctx context.Context) (_ bool, err error) {
	defer wrap("push settings", &err)
	f, err := e.read(ctx)
	if err == nil && f.Push == nil {
		err = fmt.Errorf("%w: set FLIPLET_PUSH, or push in the file", ErrNoPushWidget)
	}
	return wire.PushOn(f.Push), err
}

// read reads the file, then the variables.
func (e LocalEnvironment) read(ctx context.Context) (f localFile, err error) {
	if err := alive(ctx); err != nil {
		return f, err
	}
	getenv := e.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	path := e.File
	if path == "" {
		path = getenv("FLIPLET_CONFIG")
	}
	if path != "" {
		if f, err = readFile(path); err != nil {
			return f, err
		}
	}
	setIn := func(m *M, key string, v any) {
		if *m == nil {
			*m = M{}
		}
		(*m)[key] = v
	}
	for name, set := range map[string]func(v string){
		"FLIPLET_TOKEN":               func(v string) { f.Token = v },
		"FLIPLET_BASE_URL":            func(v string) { f.BaseURL = v },
		"FLIPLET_APP_ID":              func(v string) { f.AppID = v },
		"FLIPLET_MASTER_APP_ID":       func(v string) { f.MasterAppID = v },
		"FLIPLET_CHAT_DATA_SOURCE_ID": func(v string) { setIn(&f.Chat, "dataSourceId", v) },
		"FLIPLET_CHAT_PRIMARY_KEY":    func(v string) { setIn(&f.Chat, "primaryKey", v) },
	} {
		if v := strings.TrimSpace(getenv(name)); v != "" {
			set(v)
		}
	}
	if v := strings.TrimSpace(getenv("FLIPLET_PUSH")); v != "" {
		on, err := strconv.ParseBool(v)
		if err != nil {
			return f, invalid("FLIPLET_PUSH: %q is neither true nor false", v)
		}
		setIn(&f.Push, "configured", on)
	}
	if v := getenv("FLIPLET_CHAT_USER"); v != "" {
		opts := e.Options
		opts.fill(f.Chat)
		if opts.PrimaryKey == "" {
			return f, invalid("FLIPLET_CHAT_USER: set, but FLIPLET_CHAT_PRIMARY_KEY does not say which column it is the value of")
		}
		f.User = M{opts.PrimaryKey: v}
	}
	return f, nil
}

// readFile reads the file and refuses unknown keys: a misspelt one would be ignored.
func readFile(path string) (f localFile, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, invalid("LocalEnvironment.File: %w", err)
	}
	if err != nil {
		return f, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err = dec.Decode(&f); err == nil {
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return f, invalid("%s: text after the JSON object", path)
		}
		return f, nil
	}
	if broken, ok := errors.AsType[*json.SyntaxError](err); ok {
		return f, invalid("%s: no JSON at byte %d", path, broken.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return f, invalid("%s: %q is a %s, want a %s", path, wrong.Field, strings.Fields(wrong.Value)[0], wrong.Type)
	}
	return f, invalid("%s: %w", path, err)
}

// readID reads an id that is a number or text; a missing one is 0.
func readID(name string, v any) (int64, error) {
	text := fmt.Sprint(v)
	if v == nil || text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n <= 0 {
		return 0, invalid("%s: %q is not an id; give a whole number above 0", name, text)
	}
	return n, nil
}
