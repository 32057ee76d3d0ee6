package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// AppEnvironment is the [Environment] of an app in Fliplet Studio, read from the
// REST API: the settings of its chat and push notifications widgets, and the
// session of the client's token.
//
// Tokens of an app see its published version: give the id of that one
// (productionAppId, documented).
type AppEnvironment struct {
	// Options are the options to start from. Client and AppID are required. What is
	// set here wins over the chat widget's settings.
	Options Options
}

var _ Environment = AppEnvironment{}

// Packages of the widgets (seen in public clients).
const (
	chatWidget = "com.fliplet.chat"
	pushWidget = "com.fliplet.push-notifications"
)

// ChatSettings asks for the settings of the app's chat widget.
//
// Errors: [ErrInvalid]; [ErrNoChatWidget]; what the server said.
func (e AppEnvironment) ChatSettings(ctx context.Context) (Options, error) {
	opts := e.Options
	widget, err := e.widget(ctx, chatWidget, ErrNoChatWidget)
	if err != nil {
		return opts, err
	}
	opts.fill(widget)
	return opts, nil
}

// CurrentUser asks who the session of the client's token belongs to: the row of
// the data source that the person logged in with, nil for none.
//
// Errors: [ErrInvalid]; what the server said.
func (e AppEnvironment) CurrentUser(ctx context.Context) (M, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	var answer any
	if err := e.Options.Client.Call(ctx, http.MethodGet, "v1/session", nil, nil, &answer); err != nil {
		return nil, fmt.Errorf("current user: %w", err)
	}
	session, _ := at(answer, "session").(M)
	if row, ok := at(session, "entries", "dataSource", "data").(M); ok && len(row) > 0 {
		return row, nil
	}
	for _, account := range objects(at(session, "accounts", "dataSource")) {
		if row, ok := account["data"].(M); ok && len(row) > 0 {
			return row, nil
		}
	}
	return nil, nil
}

// PushEnabled asks for the settings of the app's push notifications widget.
//
// Errors: [ErrInvalid]; [ErrNoPushWidget]; what the server said.
func (e AppEnvironment) PushEnabled(ctx context.Context) (bool, error) {
	widget, err := e.widget(ctx, pushWidget, ErrNoPushWidget)
	return pushOn(widget), err
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
	instance, _ := at(answer, "widgetInstance").(M)
	if instance == nil {
		return nil, fmt.Errorf("%w in app %s", absent, app)
	}
	settings, _ := instance["settings"].(M) // a widget that was never set up has none
	return settings, nil
}

// at walks through objects, to nil where there is nothing.
func at(v any, path ...string) any {
	for _, key := range path {
		m, _ := v.(M)
		v = m[key]
	}
	return v
}

// fill sets the options that are not set from a chat widget's settings, whose ids
// may be numbers or text.
func (o *Options) fill(settings M) {
	o.DataSourceID = cmp.Or(o.DataSourceID, wire.Int(settings["dataSourceId"]))
	o.PrimaryKey = cmp.Or(o.PrimaryKey, wire.Text(settings["primaryKey"]))
	o.CrossLogin = o.CrossLogin || wire.Bool(settings["crossLogin"])
	o.CrossLoginDataSourceID = cmp.Or(o.CrossLoginDataSourceID, wire.Int(settings["crossLoginDataSourceId"]))
	o.CrossLoginEmailKey = cmp.Or(o.CrossLoginEmailKey, wire.Text(settings["crossLoginEmailKey"]))
	o.CrossLoginContactsKey = cmp.Or(o.CrossLoginContactsKey, wire.Text(settings["crossLoginContactsKey"]))
}

// pushOn reads the settings of a push notifications widget. Saving them sets
// "configured", and a flag for each service that is set up (seen in the widget).
func pushOn(settings M) bool {
	if v, ok := settings["configured"]; ok {
		return wire.Bool(v)
	}
	return wire.Bool(settings["apn"]) || wire.Bool(settings["gcm"]) || wire.Bool(settings["wns"])
}
