package chat_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// screen is an Environment with settable answers.
type screen struct {
	opts    chat.Options
	optsErr error
	user    chat.M
	userErr error
	push    bool
	pushErr error
	asked   []string
}

func (s *screen) ChatSettings(context.Context) (chat.Options, error) {
	s.asked = append(s.asked, "settings")
	return s.opts, s.optsErr
}

func (s *screen) CurrentUser(context.Context) (chat.M, error) {
	s.asked = append(s.asked, "user")
	return s.user, s.userErr
}

func (s *screen) PushEnabled(context.Context) (bool, error) {
	s.asked = append(s.asked, "push")
	return s.push, s.pushErr
}

// screen is that of an app in which Jane is logged in.
func (w *world) screen() *screen {
	opts := w.options()
	opts.EncryptMessages = false
	return &screen{opts: opts, user: chat.M{"Email": "jane@example.org", "Full name": "Jane"}, push: true}
}

// start is Init in a registry of the test's own.
func start(t *testing.T, env chat.Environment, overrides ...func(*chat.Options)) (*chat.Chat, error) {
	var r chat.Registry
	c, err := r.Init(t.Context(), env, overrides...)
	if err != nil {
		assert.Nil(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, missing := r.Get(ctx)
		assert.ErrorIs(t, missing, context.DeadlineExceeded, "a chat that failed to start is nobody's")
		return nil, err
	}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	got, getErr := r.Get(t.Context())
	require.NoError(t, getErr)
	assert.Same(t, c, got)
	return c, nil
}

func TestInitLogsTheCurrentUserInWithEncryptionAndPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.screen()
	env.opts.PrimaryKey = "Full name"
	env.user = chat.M{"Full name": "jane", "Email": "bob@example.org"}
	c, err := start(t, env)
	require.NoError(t, err)
	assert.Equal(t, w.ids["jane"], c.User().ID, "by the primary key, whatever the other columns hold")
	conv := w.converse(c, "bob")
	sent := w.say(c, conv, "sealed")
	row, err := w.Client().FindByID(t.Context(), conv.ID, sent.ID)
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprint(row.Data["body"]), "sealed", "encryption is on by default")
	ds, err := w.Client().DataSource(t.Context(), conv.ID)
	require.NoError(t, err)
	assert.Contains(t, string(ds.Hooks), "push-message", "push is on by default")
}

func TestInitAppliesOverridesLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.screen()
	env.opts.PrimaryKey = "Full name"
	env.user["Full name"] = "nobody"
	c, err := start(t, env,
		func(o *chat.Options) { o.PrimaryKey, o.EncryptMessages = "Full name", false },
		nil,
		func(o *chat.Options) { o.PrimaryKey, o.PushNotifications = "Email", false })
	require.NoError(t, err)
	assert.Equal(t, w.ids["jane"], c.User().ID)
	conv := w.converse(c, "bob")
	sent := w.say(c, conv, "in the open")
	row, err := w.Client().FindByID(t.Context(), conv.ID, sent.ID)
	require.NoError(t, err)
	assert.Equal(t, "in the open", row.Data["body"])
	ds, err := w.Client().DataSource(t.Context(), conv.ID)
	require.NoError(t, err)
	assert.NotContains(t, string(ds.Hooks), "push-message")
}

func TestInitFindsTheUserDespiteCaseAndSpace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.screen()
	env.user["Email"] = " Jane@Example.ORG "
	c, err := start(t, env)
	require.NoError(t, err)
	assert.Equal(t, w.ids["jane"], c.User().ID)
}

func TestInitLogsInByANumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contacts, ids := w.AddContacts(datasource.M{"Number": 41}, datasource.M{"Number": 42})
	env := w.screen()
	env.opts.DataSourceID, env.opts.PrimaryKey, env.user = contacts, "Number", chat.M{"Number": 42}
	c, err := start(t, env)
	require.NoError(t, err)
	assert.Equal(t, ids[1], c.User().ID)
}

func TestInitSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		change func(*screen)
		want   error
	}{
		"no chat widget":            {func(s *screen) { s.optsErr = chat.ErrNoChatWidget }, chat.ErrNoChatWidget},
		"a widget without a key":    {func(s *screen) { s.opts.PrimaryKey = "" }, chat.ErrNoPrimaryKey},
		"settings that fail":        {func(s *screen) { s.optsErr = broken }, broken},
		"no user":                   {func(s *screen) { s.user = nil }, chat.ErrNotLoggedIn},
		"a user without the column": {func(s *screen) { delete(s.user, "Email") }, chat.ErrNotLoggedIn},
		"an empty column":           {func(s *screen) { s.user["Email"] = " " }, chat.ErrNotLoggedIn},
		"a session that fails":      {func(s *screen) { s.userErr = broken }, broken},
		"a stranger":                {func(s *screen) { s.user["Email"] = "stranger@example.org" }, chat.ErrContactNotFound},
		"no contacts":               {func(s *screen) { s.opts.DataSourceID = 0 }, chat.ErrInvalid},
		"no client":                 {func(s *screen) { s.opts.Client = nil }, chat.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := w.screen()
			c.change(env)
			_, err := start(t, env)
			require.ErrorIs(t, err, c.want)
			var e *chat.Error
			require.ErrorAs(t, err, &e)
		})
	}
	_, err := start(t, nil)
	require.ErrorIs(t, err, chat.ErrInvalid)
}

// registrar records what it is asked to register.
type registrar struct {
	id   string
	err  error
	got  []*chat.Contact
	hook func()
}

func (r *registrar) Subscribe(_ context.Context, c *chat.Contact) (string, error) {
	r.got = append(r.got, c)
	if r.hook != nil {
		r.hook()
	}
	return r.id, r.err
}

// left is the screen of an app in whose storage a login component has left Bob.
func (w *world) left(email, source string) (*screen, *registrar) {
	env, push := w.screen(), &registrar{id: "subscription-9"}
	env.user = nil
	env.opts.DataSourceID, env.opts.Push = 0, push
	env.opts.Storage = storage.NewMemory()
	for key, v := range map[string]string{"fl-chat-auth-email": email, "fl-chat-source-id": source} {
		if v != "" {
			require.NoError(w.t, env.opts.Storage.Set(w.t.Context(), key, []byte(v)))
		}
	}
	return env, push
}

func subscribe(t *testing.T, env chat.Environment) (*chat.Chat, error) {
	var r chat.Registry
	c, err := r.Subscribe(t.Context(), env)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, c.Close()) })
	}
	return c, err
}

func TestSubscribeRegistersWhomStorageNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := fmt.Sprint(w.contacts)
	for name, values := range map[string][2]string{
		"JSON":                 {`"bob@example.org"`, source},
		"text":                 {"bob@example.org", source},
		"an id as text":        {`"bob@example.org"`, `"` + source + `"`},
		"another case":         {`" Bob@Example.org "`, source},
		"without a chat there": {"bob@example.org", source},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{Server: w.Server, t: t, contacts: w.contacts, ids: w.ids}
			env, push := w.left(values[0], values[1])
			if name == "without a chat there" {
				env.optsErr = fmt.Errorf("screen: %w", chat.ErrNoChatWidget)
				env.opts.PrimaryKey = ""
			}
			c, err := subscribe(t, env)
			require.NoError(t, err)
			assert.Equal(t, w.ids["bob"], c.User().ID)
			require.Len(t, push.got, 1)
			assert.Equal(t, c.User().UserID, push.got[0].UserID)
			row, err := w.Client().FindByID(t.Context(), w.contacts, w.ids["bob"])
			require.NoError(t, err)
			assert.Equal(t, "subscription-9", row.Data["flPushSubscriptionId"])
			assert.NotContains(t, env.asked, "user")
		})
	}
}

func TestSubscribeReadsTheKeysThatOptionsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env, _ := w.left("", "")
	env.opts.CrossLoginEmailKey, env.opts.CrossLoginContactsKey = "who", "where"
	require.NoError(t, env.opts.Storage.Set(t.Context(), "who", []byte(`"eve@example.org"`)))
	require.NoError(t, env.opts.Storage.Set(t.Context(), "where", fmt.Append(nil, w.contacts)))
	c, err := subscribe(t, env)
	require.NoError(t, err)
	assert.Equal(t, w.ids["eve"], c.User().ID)

	env, _ = w.left(`"eve@example.org"`, "")
	env.opts.CrossLoginDataSourceID = w.contacts
	c, err = subscribe(t, env)
	require.NoError(t, err)
	assert.Equal(t, w.ids["eve"], c.User().ID)
}

func TestSubscribeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		change func(*screen, *registrar)
		want   error
	}{
		"no push widget": {func(s *screen, _ *registrar) { s.pushErr = chat.ErrNoPushWidget }, chat.ErrNoPushWidget},
		"push off":       {func(s *screen, _ *registrar) { s.push = false }, chat.ErrPushOff},
		"no e-mail":      {func(s *screen, _ *registrar) { _ = s.opts.Storage.Delete(context.Background(), "fl-chat-auth-email") }, chat.ErrNoCrossLogin},
		"no source":      {func(s *screen, _ *registrar) { _ = s.opts.Storage.Delete(context.Background(), "fl-chat-source-id") }, chat.ErrNoCrossLogin},
		"a source that is none": {func(s *screen, _ *registrar) {
			_ = s.opts.Storage.Set(context.Background(), "fl-chat-source-id", []byte("none"))
		}, chat.ErrNoCrossLogin},
		"no storage":         {func(s *screen, _ *registrar) { s.opts.Storage = nil }, chat.ErrNoCrossLogin},
		"settings that fail": {func(s *screen, _ *registrar) { s.optsErr = broken }, broken},
		"a stranger": {func(s *screen, _ *registrar) {
			_ = s.opts.Storage.Set(context.Background(), "fl-chat-auth-email", []byte("x@y.z"))
		}, chat.ErrContactNotFound},
		"a registrar that fails": {func(_ *screen, r *registrar) { r.err = broken }, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{Server: w.Server, t: t, contacts: w.contacts, ids: w.ids}
			env, push := w.left(`"bob@example.org"`, fmt.Sprint(w.contacts))
			c.change(env, push)
			_, err := subscribe(t, env)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestSubscribeDoesNotReplaceTheChatOfTheScreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var r chat.Registry
	env, _ := w.left(`"bob@example.org"`, fmt.Sprint(w.contacts))
	c, err := r.Subscribe(t.Context(), env)
	require.NoError(t, err)
	got, err := r.Get(t.Context())
	require.NoError(t, err)
	assert.Same(t, c, got, "it is better than none")
	full := w.in(&r)
	again, err := r.Subscribe(t.Context(), env)
	require.NoError(t, err)
	got, err = r.Get(t.Context())
	require.NoError(t, err)
	assert.Same(t, full, got)
	require.NoError(t, c.Close())
	require.NoError(t, again.Close())
}

func TestCrossLoginLeavesWhatSubscribeNeedsUntilLogout(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		env, push := w.left("", "")
		jane := w.login("jane", func(o *chat.Options) { o.CrossLogin, o.Storage = true, env.opts.Storage })
		c, err := subscribe(t, env)
		require.NoError(t, err)
		assert.Equal(t, jane.User().UserID, c.User().UserID)
		require.Len(t, push.got, 1)
		require.NoError(t, jane.Logout(t.Context()))
		_, err = subscribe(t, env)
		require.ErrorIs(t, err, chat.ErrNoCrossLogin)
	})
}

func TestTheCrossLoginSourceIsBesideTheContacts(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		members, _ := w.AddContacts(chat.M{"Email": "jane@example.org"}, chat.M{"Email": "bob@example.org"})
		env, _ := w.left("", "")
		jane := w.login("jane", func(o *chat.Options) {
			o.CrossLogin, o.CrossLoginDataSourceID, o.Storage = true, members, env.opts.Storage
		})
		assert.Equal(t, w.ids["jane"], jane.User().ID, "the contacts are those of DataSourceID")
		contacts, err := jane.Contacts(t.Context())
		require.NoError(t, err)
		assert.Len(t, contacts, len(people))
		for _, row := range w.Rows(members) {
			assert.NotContains(t, row.Data, "flUserId", "the login has touched the other source")
		}
		left, err := env.opts.Storage.Get(t.Context(), "fl-chat-source-id")
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint(members), string(left))
		c, err := subscribe(t, env)
		require.NoError(t, err)
		assert.Equal(t, members, c.User().DataSourceID)
	})
}

func TestTheUserIsLeftWhereOtherComponentsLookForThem(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store := storage.NewMemory()
		stored := func(key string) string {
			raw, err := store.Get(t.Context(), key)
			if err != nil {
				require.ErrorIs(t, err, storage.ErrNotFound)
				return "none"
			}
			return string(raw)
		}
		quoted := func(s string) string { return `"` + s + `"` }
		jane := w.login("jane", func(o *chat.Options) { o.CrossLogin, o.Storage = true, store })
		first := w.token("jane")
		assert.Equal(t, []string{quoted(jane.User().UserID), quoted(first)}, []string{stored("fl-chat-user-id"), stored("fl-chat-user-token")})

		// A token that is refused goes at once, and the next one takes its place.
		elsewhere := w.login("jane")
		require.NoError(t, elsewhere.Logout(t.Context()))
		lever := w.Always(fliplettest.Query, fliplettest.Status(500))
		_, err := jane.Messages(t.Context())
		require.Error(t, err)
		assert.Equal(t, "none", stored("fl-chat-user-token"))
		lever.Off()
		_, err = jane.Messages(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, first, w.token("jane"))
		assert.Equal(t, quoted(w.token("jane")), stored("fl-chat-user-token"))

		// Another user of this Chat takes over, and a logout leaves nobody.
		_, err = jane.Login(t.Context(), chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		assert.Equal(t, []string{quoted(jane.User().UserID), quoted(w.token("bob"))}, []string{stored("fl-chat-user-id"), stored("fl-chat-user-token")})

		quiet := w.login("eve", func(o *chat.Options) { o.Storage = store })
		require.NoError(t, quiet.Logout(t.Context()), "it is not this one's to forget")
		assert.Equal(t, quoted(jane.User().UserID), stored("fl-chat-user-id"), "without CrossLogin nothing is left")
		require.NoError(t, jane.Logout(t.Context()))
		assert.Equal(t, []string{"none", "none"}, []string{stored("fl-chat-user-id"), stored("fl-chat-user-token")})
	})
}
