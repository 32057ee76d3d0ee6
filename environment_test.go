package chat_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// app is the environment of the world's app, used with an app token that Jane is
// logged in with.
func (w *world) app(login bool) chat.AppEnvironment {
	token, _ := w.AddToken(fliplettest.AppToken)
	client := w.ClientFor(token)
	if login {
		require.NoError(w.t, client.Call(w.t.Context(), http.MethodPost, "v1/session/authorize/dataSource", nil, datasource.M{
			"passport": "dataSource", "dataSourceId": w.contacts, "where": datasource.M{"Email": "jane@example.org"},
		}, nil))
	}
	return chat.AppEnvironment{Options: chat.Options{Client: client, AppID: w.AppID}}
}

func TestAppEnvironmentAsksFliplet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.app(true)
	w.SetWidget("com.fliplet.chat", datasource.M{
		"dataSourceId": strconv.FormatInt(w.contacts, 10), "primaryKey": "Email", "fullNameColumnName": "Full name",
		"crossLogin": true, "crossLoginDataSourceId": "none", "crossLoginEmailKey": "mail", "crossLoginContactsKey": nil,
	})
	opts, err := env.ChatSettings(t.Context())
	require.NoError(t, err)
	assert.Equal(t, w.contacts, opts.DataSourceID)
	assert.Equal(t, "Email", opts.PrimaryKey)
	assert.Equal(t, w.AppID, opts.AppID)
	assert.True(t, opts.CrossLogin)
	assert.Zero(t, opts.CrossLoginDataSourceID)
	assert.Equal(t, "mail", opts.CrossLoginEmailKey)
	user, err := env.CurrentUser(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "jane@example.org", user["Email"])

	c, err := start(t, env)
	require.NoError(t, err)
	assert.Equal(t, w.ids["jane"], c.User().ID)
}

func TestAppEnvironmentKeepsTheOptionsItIsGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.app(false)
	env.Options.PrimaryKey = "Full name"
	w.SetWidget("com.fliplet.chat", datasource.M{"dataSourceId": w.contacts, "primaryKey": "Email"})
	opts, err := env.ChatSettings(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "Full name", opts.PrimaryKey)
}

func TestAppEnvironmentSaysWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.app(false)
	_, err := env.ChatSettings(t.Context())
	require.ErrorIs(t, err, chat.ErrNoChatWidget)
	_, err = env.PushEnabled(t.Context())
	require.ErrorIs(t, err, chat.ErrNoPushWidget)
	user, err := env.CurrentUser(t.Context())
	require.NoError(t, err)
	assert.Nil(t, user)
	_, err = start(t, env)
	require.ErrorIs(t, err, chat.ErrNoChatWidget)

	w.SetWidget("com.fliplet.chat", datasource.M{"dataSourceId": w.contacts, "primaryKey": nil})
	_, err = start(t, env)
	require.ErrorIs(t, err, chat.ErrNoPrimaryKey)
	w.SetWidget("com.fliplet.chat", datasource.M{"dataSourceId": "none", "primaryKey": "Email"})
	_, err = start(t, w.app(true))
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorContains(t, err, "DataSourceID")
	w.SetWidget("com.fliplet.chat", datasource.M{"dataSourceId": w.contacts, "primaryKey": "Email"})
	_, err = start(t, env)
	require.ErrorIs(t, err, chat.ErrNotLoggedIn)

	for _, broken := range []chat.AppEnvironment{{}, {Options: chat.Options{AppID: 1}}, {Options: chat.Options{Client: w.Client()}}} {
		_, err = broken.ChatSettings(t.Context())
		require.ErrorIs(t, err, chat.ErrInvalid)
		_, err = broken.CurrentUser(t.Context())
		require.ErrorIs(t, err, chat.ErrInvalid)
		_, err = broken.PushEnabled(t.Context())
		require.ErrorIs(t, err, chat.ErrInvalid)
	}
}

func TestAppEnvironmentReadsWhetherPushIsSetUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings datasource.M
		want     bool
	}{
		"configured":     {datasource.M{"configured": true, "apn": true, "gcm": false}, true},
		"not configured": {datasource.M{"configured": false, "apn": true}, false},
		"one service":    {datasource.M{"apn": false, "gcm": true}, true},
		"never saved":    {datasource.M{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.SetWidget("com.fliplet.push-notifications", c.settings)
			on, err := w.app(false).PushEnabled(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.want, on)
		})
	}
}

// Whatever a server makes of the answers, they are read or refused, never a panic.
func TestAppEnvironmentSurvivesStrangeAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, body := range []string{
		`null`, `[]`, `7`, `"x"`, `{}`, `{"session":null}`, `{"session":[1]}`, `{"session":{"entries":[]}}`,
		`{"session":{"entries":{"dataSource":null},"accounts":{"dataSource":{"data":1}}}}`,
		`{"session":{"accounts":{"dataSource":[null,7,{"data":null},{"data":{}}]}}}`,
		`{"widgetInstance":null}`, `{"widgetInstance":{"settings":null}}`, `{"widgetInstance":{"settings":[1]}}`,
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			lever := w.Always(fliplettest.AnyRoute, fliplettest.Answer(200, body))
			defer lever.Off()
			env := chat.AppEnvironment{Options: chat.Options{Client: w.Client(), AppID: w.AppID}}
			user, err := env.CurrentUser(t.Context())
			assert.NoError(t, err)
			assert.Nil(t, user)
			opts, err := env.ChatSettings(t.Context())
			if err != nil {
				assert.ErrorIs(t, err, chat.ErrNoChatWidget)
			}
			assert.Zero(t, opts.DataSourceID)
			on, err := env.PushEnabled(t.Context())
			if err != nil {
				assert.ErrorIs(t, err, chat.ErrNoPushWidget)
			}
			assert.False(t, on)
		})
	}
	w.Next(1, fliplettest.Session, fliplettest.Answer(200,
		`{"session":{"accounts":{"dataSource":[{"id":1},{"id":2,"data":{"Email":"bob@example.org"}}]}}}`))
	user, err := w.app(false).CurrentUser(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "bob@example.org", user["Email"])
}

// local is a LocalEnvironment of these variables, and a file unless it is "".
func local(t *testing.T, file string, vars map[string]string) chat.LocalEnvironment {
	env := chat.LocalEnvironment{Getenv: func(name string) string { return vars[name] }}
	if file != "" {
		env.File = filepath.Join(t.TempDir(), "chat.json")
		require.NoError(t, os.WriteFile(env.File, []byte(file), 0o600))
	}
	return env
}

func TestLocalEnvironmentStartsAChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := fmt.Sprintf(`{"token": %q, "baseURL": %q, "appId": %d, "push": {"configured": true},
		"chat": {"dataSourceId": %d, "primaryKey": "Email", "avatarColumnName": "Avatar"},
		"user": {"Email": "jane@example.org"}}`, w.Token, w.URL, w.AppID, w.contacts)
	vars := map[string]string{
		"FLIPLET_TOKEN": w.Token, "FLIPLET_BASE_URL": w.URL, "FLIPLET_APP_ID": fmt.Sprint(w.AppID),
		"FLIPLET_CHAT_DATA_SOURCE_ID": fmt.Sprint(w.contacts), "FLIPLET_CHAT_PRIMARY_KEY": "Email",
		"FLIPLET_CHAT_USER": "bob@example.org", "FLIPLET_PUSH": "true",
	}
	byPath := local(t, file, nil)
	for name, c := range map[string]struct {
		env  chat.LocalEnvironment
		want string
	}{
		"of a file":          {local(t, file, nil), "jane"},
		"of variables":       {local(t, "", vars), "bob"},
		"variables win":      {local(t, file, map[string]string{"FLIPLET_CHAT_USER": "eve@example.org"}), "eve"},
		"the file's name":    {local(t, "", map[string]string{"FLIPLET_CONFIG": byPath.File}), "jane"},
		"options win":        {chat.LocalEnvironment{File: byPath.File, Getenv: byPath.Getenv, Options: chat.Options{AppID: w.AppID, Client: w.Client()}}, "jane"},
		"a variable in part": {local(t, file, map[string]string{"FLIPLET_PUSH": "1", "FLIPLET_MASTER_APP_ID": "1"}), "jane"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on, err := c.env.PushEnabled(t.Context())
			require.NoError(t, err)
			assert.True(t, on)
			chat, err := start(t, c.env)
			require.NoError(t, err)
			assert.Equal(t, w.ids[c.want], chat.User().ID)
		})
	}
}

func TestLocalEnvironmentSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	const token = "eu--not-to-be-shown"
	base := map[string]string{"FLIPLET_TOKEN": token}
	with := func(pairs ...string) map[string]string {
		vars := map[string]string{"FLIPLET_TOKEN": token}
		for i := 0; i < len(pairs); i += 2 {
			vars[pairs[i]] = pairs[i+1]
		}
		return vars
	}
	for name, c := range map[string]struct {
		file string
		vars map[string]string
		want error
		text string
	}{
		"nothing":               {"", nil, chat.ErrInvalid, "FLIPLET_TOKEN"},
		"no chat":               {"", base, chat.ErrNoChatWidget, "FLIPLET_CHAT_DATA_SOURCE_ID"},
		"no chat in the file":   {`{"user": {}}`, base, chat.ErrNoChatWidget, "chat in the file"},
		"no primary key":        {`{"chat": {"dataSourceId": 1}}`, base, chat.ErrNoPrimaryKey, ""},
		"no user":               {`{"chat": {"dataSourceId": 1, "primaryKey": "Email"}}`, base, chat.ErrNotLoggedIn, ""},
		"an id that is none":    {"", with("FLIPLET_CHAT_DATA_SOURCE_ID", "none"), chat.ErrInvalid, "dataSourceId"},
		"an app that is none":   {"", with("FLIPLET_APP_ID", "-3", "FLIPLET_CHAT_DATA_SOURCE_ID", "1"), chat.ErrInvalid, "appId"},
		"a user of no column":   {"", with("FLIPLET_CHAT_USER", "jane"), chat.ErrInvalid, "FLIPLET_CHAT_PRIMARY_KEY"},
		"push that is neither":  {"", with("FLIPLET_PUSH", "maybe"), chat.ErrInvalid, "FLIPLET_PUSH"},
		"a file that is gone":   {"", with("FLIPLET_CONFIG", filepath.Join(t.TempDir(), "gone.json")), chat.ErrInvalid, "gone.json"},
		"no JSON":               {`{"token": "` + token + `",`, nil, chat.ErrInvalid, "chat.json"},
		"two values":            {`{} {}`, base, chat.ErrInvalid, "after"},
		"a key that is unknown": {`{"tokn": "` + token + `"}`, nil, chat.ErrInvalid, "tokn"},
		"a wrong type":          {`{"token": 12345}`, nil, chat.ErrInvalid, "token"},
		"a base that is none":   {`{"baseURL": "ftp://x", "chat": {"dataSourceId": 1, "primaryKey": "Email"}}`, base, chat.ErrInvalid, "BaseURL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := start(t, local(t, c.file, c.vars))
			require.ErrorIs(t, err, c.want)
			assert.ErrorContains(t, err, c.text)
			assert.NotContains(t, err.Error(), token)
			assert.NotContains(t, err.Error(), "12345")
		})
	}
	_, err := local(t, "", base).PushEnabled(t.Context())
	require.ErrorIs(t, err, chat.ErrNoPushWidget)
	on, err := local(t, `{"push": {"apn": true}}`, with("FLIPLET_PUSH", "false")).PushEnabled(t.Context())
	require.NoError(t, err)
	assert.False(t, on)
}
