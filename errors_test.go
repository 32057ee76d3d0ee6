package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestSentinelsMeanSomethingAlone(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		chat.ErrContactNotFound, chat.ErrOffline, chat.ErrNotLoggedIn, chat.ErrClosed, chat.ErrNoInviteCode, chat.ErrNotFound, chat.ErrInvalid, chat.ErrSealed,
		chat.ErrUnreadable, chat.ErrWrongKey, chat.ErrTampered, chat.ErrMalformed, chat.ErrKeyUnavailable, chat.ErrUnprotected,
		chat.ErrNoChatWidget, chat.ErrNoPrimaryKey, chat.ErrNoPushWidget, chat.ErrPushOff, chat.ErrNoCrossLogin, chat.ErrQueued, chat.ErrOutboxFull,
	} {
		text, ok := strings.CutPrefix(err.Error(), "chat: ")
		assert.True(t, ok, "%q does not say whose error it is", err)
		for _, dangling := range []string{"it ", "its ", "they "} {
			assert.False(t, strings.HasPrefix(text, dangling), "%q speaks of something it does not name", err)
		}
		whole := &chat.Error{Op: "test", Err: fmt.Errorf("row 7: %w", err)}
		assert.Equal(t, "chat: test: row 7: "+text, whole.Error(), "the package names itself once")
	}
}

// offline is a server that cannot be reached.
func TestEveryCallReturnsATypedError(t *testing.T) {
	t.Parallel()
	typed := func(op string, err error) {
		_, ok := err.(*chat.Error) //nolint:errorlint // the very error, not one in its chain
		assert.True(t, ok, "%s: %T: %v", op, err, err)
	}
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	w.Always(fliplettest.AnyRoute, fliplettest.Status(500))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, ctx := range map[string]context.Context{"status 500": t.Context(), "ended context": ended} {
		for op, call := range callsOf(jane) {
			switch op {
			case "Close", "Shutdown", "Logout", "Poll", "Stream", "Consume", "Events", "Unread.Count":
				continue // below
			}
			if err := call(ctx); assert.Error(t, err, "%s: %s", name, op) {
				typed(name+": "+op, err)
			}
		}
	}
	typed("Logout", jane.Logout(ended))
	for op, call := range callsOf(jane) {
		if op == "Close" || op == "Shutdown" || op == "Logout" {
			continue
		}
		if err := call(ended); err != nil {
			typed("logged out: "+op, err)
		}
	}
	_, err := conv.InviteCode(t.Context())
	typed("InviteCode", err)

	client := w.Client()
	app := chat.AppEnvironment{Options: chat.Options{Client: client, AppID: 1}}
	_, err = app.ChatSettings(t.Context())
	typed("AppEnvironment.ChatSettings", err)
	_, err = app.CurrentUser(t.Context())
	typed("AppEnvironment.CurrentUser", err)
	_, err = app.PushEnabled(t.Context())
	typed("AppEnvironment.PushEnabled", err)
	local := chat.LocalEnvironment{File: "does not exist", Getenv: func(string) string { return "" }}
	_, err = local.ChatSettings(t.Context())
	typed("LocalEnvironment.ChatSettings", err)
	_, err = local.CurrentUser(t.Context())
	typed("LocalEnvironment.CurrentUser", err)
	_, err = local.PushEnabled(t.Context())
	typed("LocalEnvironment.PushEnabled", err)

	_, err = chat.NewKeystore(nil, chat.KeystoreOptions{})
	typed("NewKeystore", err)
	ks, err := chat.NewKeystore(client, chat.KeystoreOptions{})
	require.NoError(t, err)
	_, err = ks.Key(t.Context(), 1)
	typed("Keystore.Key", err)
	_, err = chat.NewKey("", nil)
	typed("NewKey", err)
	_, err = chat.DeriveKeys("", nil)
	typed("DeriveKeys", err)
	_, err = chat.StretchPassphrase("", "", nil)
	typed("StretchPassphrase", err)
	_, err = chat.NewCipher(nil)
	typed("NewCipher", err)
	_, err = chat.Connect(t.Context(), chat.Options{})
	typed("Connect", err)
	_, err = new(chat.Registry).Connect(ended, chat.Options{})
	typed("Registry.Connect", err)
	_, err = new(chat.Registry).Get(ended)
	typed("Registry.Get", err)
	_, err = chat.Init(t.Context(), local)
	typed("Init", err)
	_, err = chat.Subscribe(t.Context(), nil)
	typed("Subscribe", err)
	assert.True(t, errors.Is(err, chat.ErrInvalid))
}

// A gateway that answers 404, for instance while the service restarts, does not know what
// exists: whoever asks whether something is gone must not get its word for it.
func TestOnlyTheServiceSaysWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		body  string
		found bool
	}{
		"a page":      {"<html>no such site</html>", false},
		"nothing":     {" ", false},
		"a text":      {"404 page not found", false},
		"other JSON":  {`{"status":404}`, false},
		"Spring":      {`{"timestamp":"2026-01-01T00:00:00Z","status":404,"error":"Not Found","path":"/v1"}`, false},
		"Nest":        {`{"statusCode":404,"message":"Cannot GET /v1","error":"Not Found"}`, false},
		"a problem":   {`{"type":"about:blank","title":"Not Found","status":404}`, false},
		"Google":      {`{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND"}}`, false},
		"AWS":         {`{"message":"Not Found"}`, false},
		"the service": {`{"message":"Entry not found."}`, true},
		"in a code":   {`{"error":"entry.missing","message":"Entry not found."}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane")
				conv := w.converse(jane, "bob")
				m := w.say(jane, conv, "hello")
				for call, do := range map[string]func(context.Context) error{
					"conversation": func(ctx context.Context) error { _, err := jane.Conversation(ctx, conv.ID); return err },
					"message":      func(ctx context.Context) error { _, err := conv.Messages().Get(ctx, m.ID); return err },
					"update": func(ctx context.Context) error {
						_, err := jane.UpdateMessage(ctx, conv.ID, m.ID, chat.M{"body": "other"})
						return err
					},
					"delete":  func(ctx context.Context) error { return jane.DeleteMessage(ctx, conv.ID, m.ID) },
					"channel": func(ctx context.Context) error { _, err := jane.Channels().Join(ctx, conv.ID); return err },
				} {
					off := w.Always(fliplettest.AnyRoute, fliplettest.Answer(404, answer.body))
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					err := do(ctx)
					cancel()
					off.Off()
					require.ErrorContains(t, err, "404", call)
					assert.Equal(t, answer.found, errors.Is(err, chat.ErrNotFound), "%s: %v", call, err)
				}
				require.NoError(t, jane.Close())
			})
		})
	}
}
