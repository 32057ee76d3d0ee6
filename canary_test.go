package chat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Secrets that no output may hold. Each is found in plain, hex, base64 and quoted
// form, and by a part of itself.
const (
	canaryToken     = "eu--CANARYTOKEN5f0c1d2e3b4a"
	canaryChatToken = "CANARYCHATTOKEN9a8b7c6d5e4f"
	canaryKey       = "CANARYPASSPHRASEk3y0f32charsss"
	canaryAES       = "CANARYAESKEY....................."
	canaryBody      = "CANARYBODY meet me at the pier"
	canaryPassword  = "CANARYPASSWORD hunter2"
)

var canaries = []string{canaryToken, canaryChatToken, canaryKey, canaryAES[:32], canaryBody, canaryPassword}

// leak names the canary in a text, "" if there is none.
func leak(text string, but ...string) string {
	for _, c := range canaries {
		mark := strings.TrimPrefix(strings.TrimSuffix(c, c[18:]), "eu--")
		skip := false
		for _, b := range but {
			skip = skip || b == c
		}
		if skip {
			continue
		}
		bytesOf := strings.Trim(fmt.Sprint([]byte(mark)), "[]")
		for _, form := range []string{
			mark, hex.EncodeToString([]byte(mark)), strings.ToUpper(hex.EncodeToString([]byte(mark))),
			base64.StdEncoding.EncodeToString([]byte(c))[:16], bytesOf, strings.ReplaceAll(bytesOf, " ", ", "),
			strings.Trim(fmt.Sprintf("%#v", []byte(mark)), "[]byte{}"),
		} {
			if strings.Contains(text, form) {
				return c
			}
		}
	}
	return ""
}

// sink collects everything that is printed, logged or marshalled.
type sink struct {
	t    testing.TB
	mu   sync.Mutex
	logs bytes.Buffer
	seen int
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.Write(p)
}

// logger logs everything in both of slog's forms.
func (s *sink) logger() *slog.Logger {
	all := &slog.HandlerOptions{Level: slog.LevelDebug - 100, AddSource: true}
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(s, all), slog.NewJSONHandler(s, all)))
}

// show prints a value in every way there is.
func (s *sink) show(what string, values ...any) {
	s.t.Helper()
	for _, v := range values {
		if err, ok := v.(error); ok && err == nil || v == nil {
			continue
		}
		s.mu.Lock()
		s.seen++
		s.mu.Unlock()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if c := leak(fmt.Sprintf(verb, v)); c != "" {
				assert.Fail(s.t, "leak", "%s: %s of a %T holds %.12s…", what, verb, v, c)
			}
		}
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte(err.Error())
		}
		var but []string
		switch reflect.TypeOf(v) {
		case reflect.TypeFor[*chat.Message](), reflect.TypeFor[[]*chat.Message]():
			but = []string{canaryBody} // what a message is for
		case reflect.TypeFor[*chat.Contact](), reflect.TypeFor[[]*chat.Contact]():
			but = []string{canaryPassword} // a column like any other
		}
		if c := leak(string(raw), but...); c != "" {
			assert.Fail(s.t, "leak", "%s: json of a %T holds %.12s…", what, v, c)
		}
		s.logger().Info(what, "value", v)
		for _, err := range chain(v) {
			if c := leak(fmt.Sprintf("%v %+v %#v", err, err, err)); c != "" {
				assert.Fail(s.t, "leak", "%s: the chain of a %T holds %.12s…", what, v, c)
			}
		}
	}
}

// chain is an error, and every error below it.
func chain(v any) []error {
	err, _ := v.(error)
	if err == nil {
		return nil
	}
	out := []error{err}
	switch e := err.(type) { //nolint:errorlint // each one by itself
	case interface{ Unwrap() error }:
		out = append(out, chain(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(out, chain(inner)...)
		}
	}
	return out
}

func TestTheWalkOfErrorsGoesOnBelowSeveral(t *testing.T) {
	t.Parallel()
	deep := errors.New("deep")
	err := fmt.Errorf("a: %w", errors.Join(errors.New("b"), fmt.Errorf("%w and %w", errors.New("c"), fmt.Errorf("d: %w", deep))))
	assert.Contains(t, chain(err), deep)
	assert.Len(t, chain(err), 7)
}

// check looks at what was logged.
func (s *sink) check(what string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.logs.String()) {
		var but []string
		if strings.Contains(line, `"dataSourceId"`) { // a message or contact that show logged as what it marshals to
			but = []string{canaryBody, canaryPassword}
		}
		if c := leak(line, but...); c != "" {
			assert.Fail(s.t, "leak", "%s: the log holds %.12s…: %.300s", what, c, line)
		}
	}
	s.logs.Reset()
}

// aviary is a local Fliplet full of canaries.
type aviary struct {
	*world
	sink   *sink
	cipher *chat.Cipher
	conv   *chat.Conversation
	rt     *echo
}

// echo is a server that answers with what it was sent, when told to.
type echo struct {
	next http.RoundTripper
	mu   sync.Mutex
	on   bool
	says string // beside what it was sent
}

func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	on, says := e.on, e.says
	e.mu.Unlock()
	if !on {
		return e.next.RoundTrip(r)
	}
	text := "you sent " + r.URL.String() + " with " + r.Header.Get("Auth-token") + says
	body, _ := json.Marshal(map[string]any{
		"message": text, "error": text, "type": text, "code": text, "description": text, "referenceUrl": text,
		"payload": map[string]any{"token": r.Header.Get("Auth-token"), "said": says, says: says},
	})
	return &http.Response{
		StatusCode: 400, Status: "400 Bad Request", Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

func newAviary(t *testing.T) *aviary {
	w := newWorld(t, fliplettest.InProcess(), fliplettest.WithToken(canaryToken))
	a := &aviary{world: w, sink: &sink{t: t}, rt: &echo{next: w.Transport()}}
	for name, id := range w.ids {
		_, err := w.Client().Update(t.Context(), w.contacts, id, datasource.M{"flUserToken": canaryChatToken + name, "Password": canaryPassword})
		require.NoError(t, err)
	}
	a.cipher = newCipher(t, sure(chat.NewKey("k1", []byte(canaryAES[:32]))), sure(chat.DeriveKeys("m1", []byte(canaryAES))))
	setup := a.chat()
	_, err := setup.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	a.conv = w.converse(setup, "bob")
	ds, err := w.Client().DataSource(t.Context(), a.conv.ID)
	require.NoError(t, err)
	var def map[string]any
	require.NoError(t, json.Unmarshal(ds.Definition, &def))
	def["encryptionKey"] = canaryKey
	_, err = w.Client().UpdateDataSource(t.Context(), a.conv.ID, datasource.SourcePatch{Definition: sure(json.Marshal(def))})
	require.NoError(t, err)
	return a
}

// chat is a Chat whose requests and logs can be watched.
func (a *aviary) chat(change ...func(*chat.Options)) *chat.Chat {
	a.t.Helper()
	client, err := datasource.NewClient(datasource.Config{
		Token: canaryToken, BaseURL: a.URL, HTTPClient: &http.Client{Transport: a.rt}, Logger: a.sink.logger(),
		Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Millisecond, MaxWait: time.Millisecond},
	})
	require.NoError(a.t, err)
	a.sink.show("client", client)
	opts := []func(*chat.Options){func(o *chat.Options) {
		o.Client, o.Logger, o.Cipher, o.Storage = client, a.sink.logger(), a.cipher, storage.NewMemory()
	}}
	return a.connect(append(opts, change...)...)
}

// tour makes every public call once and shows everything that comes back. Errors
// are what some tours are for, so none ends it.
func (a *aviary) tour(name string, c *chat.Chat) {
	t, ctx, s := a.t, context.Background(), a.sink
	show := func(call string, values ...any) { t.Helper(); s.show(name+": "+call, values...) }
	id := a.conv.ID
	two := func(call string) func(v any, err error) {
		return func(v any, err error) {
			if err == nil {
				show(call, v)
			}
			show(call, err)
		}
	}
	show("chat", c, c.User(), a.cipher)
	two("Login by token")(c.Login(ctx, chat.M{"flUserToken": canaryChatToken + "jane"}))
	two("Login by password")(c.Login(ctx, chat.M{"Password": canaryPassword, "Email": "nobody"}))
	two("Login")(c.Login(ctx, chat.M{"Email": "jane@example.org", "Password": canaryPassword}))
	two("Contacts")(c.Contacts(ctx, chat.Where(chat.M{"Password": canaryPassword})))
	two("Contacts offline")(c.Contacts(ctx, chat.Offline()))
	two("Conversations")(c.Conversations(ctx))
	two("Create")(c.Create(ctx, chat.NewConversation{Participants: []int64{a.ids["bob"]}}))
	two("JoinConversation")(c.JoinConversation(ctx, "no such code"))
	sub, err := c.Stream(ctx, func(m *chat.Message) { show("streamed", m); panic("on " + m.Body) })
	show("Stream", err)
	draft := chat.Draft{Body: canaryBody, Data: chat.M{"note": canaryBody}}
	show("Draft", fmt.Sprintf("%v %+v %#v %s", draft, draft, draft, draft))
	sent, err := c.Message(ctx, id, draft)
	show("Message", err)
	if sent == nil {
		sent = &chat.Message{ID: a.AddRows(id, datasource.M{"body": canaryBody})[0], ConversationID: id, Body: canaryBody, Data: chat.M{"body": canaryBody}}
	}
	show("Message", sent)
	_, err = c.Message(ctx, id, chat.Draft{Body: canaryBody + "\xff"})
	show("Message, invalid", err)
	_, err = c.Message(ctx, id, chat.Draft{Body: canaryBody, Data: chat.M{"flUserToken": canaryChatToken}})
	show("Message, refused column", err)
	two("UpdateMessage")(c.UpdateMessage(ctx, id, sent.ID, chat.M{"body": canaryBody + "!"}))
	two("UpdateMessage, guid")(c.UpdateMessage(ctx, id, sent.ID, chat.M{"guid": canaryBody, "body": canaryBody}))
	two("Messages")(c.Messages(ctx))
	two("Messages, refused")(c.Messages(ctx, chat.WhereRow(chat.M{"body": canaryBody})))
	two("Messages, where")(c.Messages(ctx, chat.WhereRow(chat.M{"note": canaryBody})))
	two("Fetch")(a.conv.Messages().Fetch(ctx, chat.Where(chat.M{"note": canaryBody})))
	two("Get")(a.conv.Messages().Get(ctx, sent.ID))
	two("Get, unknown")(a.conv.Messages().Get(ctx, sent.ID+1000))
	show("MarkMessagesAsRead", c.MarkMessagesAsRead(ctx, sent))
	two("Unread.Get")(c.Unread().Get(ctx))
	two("Unread.Count")(c.Unread().Count(ctx))
	brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	show("Poll", c.Poll(brief, chat.Reset()))
	if sub != nil {
		show("Subscription", sub, sub.Err())
		sub.Stop()
		ended(t, sub.Done())
		show("Subscription", sub, sub.Err())
	}
	for m, err := range c.Events(brief) {
		show("Events", m, err)
		break
	}
	show("Consume", c.Consume(brief, "canary", func(context.Context, *chat.Message) error {
		return errors.New("cannot work")
	}))
	cancel()
	locked := &chat.Message{
		ID: 1, ConversationID: id, Data: chat.M{"hasMediaFileWithPrivateEncryptionKey": true},
		Files: []string{a.URL + "/v1/media/files/1/contents/x.png?auth_token=" + canaryToken + "&encryptionKey=" + canaryKey},
	}
	_, _, err = c.Download(ctx, locked, 0, io.Discard)
	show("Download", err)
	for _, gap := range []chat.Gap{
		{Kind: chat.GapHistory, ConversationID: a.conv.ID, Before: time.Now()}, {Kind: chat.GapUnreadable, ConversationID: a.conv.ID, MessageID: sent.ID}, {},
	} {
		for m, err := range c.Fill(ctx, gap) {
			show("Fill", gap, m, err)
		}
	}
	answer := httptest.NewRecorder()
	c.ServeFile(answer, httptest.NewRequest("GET", "/", nil), locked, 0)
	show("ServeFile", fmt.Sprint(answer.Header(), answer.Body))
	for m, err := range c.History(ctx, id) {
		show("History", m, err)
		if err != nil {
			break
		}
	}
	sealed, err := c.Message(ctx, id, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte(canaryBody)}}})
	show("Message with a file", sealed, err)
	if err == nil {
		_, _, err = c.Download(ctx, sealed, 0, io.Discard)
		show("Download, sealed", err)
		sealed.Data["guid"] = "another"
		_, _, err = c.Download(ctx, sealed, 0, io.Discard)
		show("Download, moved", err)
	}
	if outbox := reflect.ValueOf(c).MethodByName("Outbox"); outbox.IsValid() {
		show("Outbox", outbox.Call(nil)[0].Interface())
	}
	two("Reencrypt")(c.Reencrypt(ctx, id, func(r chat.Reencryption) { show("progress", r) }))
	ch, err := c.Channels().Create(ctx, "a channel")
	two("Channels.Create")(ch, err)
	two("Channels.List")(c.Channels().List(ctx))
	if ch != nil {
		two("Channels.Join")(c.Channels().Join(ctx, ch.ID))
		show("Channels.Delete", c.Channels().Delete(ctx, ch.ID))
	}
	v := a.conv
	two("InviteCode")(v.InviteCode(ctx))
	two("Participants.Fetch")(v.Participants().Fetch(ctx))
	show("AcceptKey", v.AcceptKey(ctx))
	show("Participants.Add", v.Participants().Add(ctx, a.ids["eve"]), v.Participants().Remove(ctx, a.ids["eve"]))
	show("Notifications", v.Notifications().Mute(ctx), v.Notifications().Unmute(ctx))
	show("handles", v, v.Definition, v.Participants(), v.Notifications(), v.Messages(), c.Unread(), c.Channels())
	two("Conversation")(c.Conversation(ctx, id))
	show("Opener", v.Opener(), v.Opener().Message(ctx, datasource.Entry{ID: 1, Data: chat.M{"body": "U2FsdGVkX1" + canaryBody}}).Err)
	two("ContactByUserID")(c.ContactByUserID(ctx, sent.FromUserID))
	show("DeleteMessage", c.DeleteMessage(ctx, id, sent.ID))
	show("User", c.User())
	for _, format := range []string{"html", "json"} {
		page := httptest.NewRecorder()
		c.DebugHandler().ServeHTTP(page, httptest.NewRequestWithContext(ctx, http.MethodGet, "/?format="+format, nil))
		show("DebugHandler", page.Body.String())
	}
	show("Logout", c.Logout(ctx))
	show("Shutdown", c.Shutdown(ctx))
	show("Close", c.Close())
	_, err = c.Message(ctx, id, draft)
	show("after Close", err)
	s.check(name)
}

// toured are the methods of Chat that tour calls, or that cannot hold a secret.
const toured = "BatchSize Channels Close Consume ContactByUserID Contacts Conversation Conversations Create DebugHandler DeleteMessage Download Events FileHandler Fill Format Health History " +
	"JoinConversation Login Logout MarkMessagesAsRead Message Messages Outbox Poll Reencrypt ServeFile Shutdown Stream String Unread UpdateMessage User"

func TestNoSecretIsPrintedLoggedOrMarshalled(t *testing.T) {
	t.Parallel()
	for i := range reflect.TypeFor[*chat.Chat]().NumMethod() {
		name := reflect.TypeFor[*chat.Chat]().Method(i).Name
		assert.Contains(t, strings.Fields(toured), name, "a new method joins the tour, or the list of those that cannot hold a secret")
	}
	tours := map[string]func(*aviary){
		"all is well": func(*aviary) {},
		"a server that repeats what it is sent": func(a *aviary) {
			a.rt.on = true
		},
		"a server that says the secrets of others": func(a *aviary) {
			a.rt.on = true
			a.rt.says = "; the token of bob is bad: " + canaryChatToken + "bob, " + canaryToken + "; the conversation has the encryption key " + canaryKey +
				" https://bob:" + canaryPassword[:14] + "@db/x?body=" + canaryBody[:10] + `; password: "` + canaryPassword + `"; secret=` + canaryAES + "; the body was " + canaryBody
		},
	}
	for _, code := range []int{400, 401, 403, 404, 429, 503} {
		tours[fmt.Sprintf("status %d", code)] = func(a *aviary) { a.Always(fliplettest.AnyRoute, fliplettest.Status(code)) }
		tours[fmt.Sprintf("writes get %d", code)] = func(a *aviary) { a.Always(fliplettest.AnyWrite, fliplettest.Status(code)) }
	}
	for name, fault := range map[string]fliplettest.Fault{
		"lost requests": fliplettest.LoseRequest(), "lost answers": fliplettest.LoseAnswer(), "cut answers": fliplettest.Cut(),
		"dead chat token": fliplettest.RefuseChatToken(), "dead token": fliplettest.RefuseToken(),
		"no JSON": fliplettest.Answer(200, "<html>"+canaryToken+canaryBody+"</html>"), "empty": fliplettest.EmptyBody(),
		"null fields": fliplettest.NullFields("data", "definition", "id"), "texts for ids": fliplettest.IDsAsStrings(),
	} {
		tours[name] = func(a *aviary) { a.Always(fliplettest.AnyRoute, fault) }
	}
	modes := []func(*chat.Options){
		func(*chat.Options) {},
		func(o *chat.Options) { o.Cipher = nil },
		func(o *chat.Options) { o.Cipher, o.Keys = nil, canaryKeys{} },
	}
	for name, prepare := range tours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for i, change := range modes {
					if i != len(name)%len(modes) && name != "all is well" {
						continue // each fault meets one way to encrypt
					}
					a := newAviary(t)
					c := a.chat(change)
					_, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
					require.NoError(t, err)
					prepare(a)
					a.tour(name, c)
					assert.Greater(t, a.sink.seen, 30)
				}
			})
		})
	}
}

// canaryKeys are a caller's Keys.
type canaryKeys struct{}

func (canaryKeys) Key(context.Context, int64) (string, error) { return canaryKey, nil }

// TestTypesWithSecretsHideThem prints the types that hold keys, full and empty. A
// stretched key is printed where one is made, which takes long.
func TestTypesWithSecretsHideThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess(), fliplettest.WithToken(canaryToken))
	s := &sink{t: t}
	key := sure(chat.NewKey("k1", []byte(canaryAES[:32])))
	secret := sure(chat.DeriveKeys("m1", []byte(canaryAES)))
	cipher := newCipher(t, key, secret)
	_, err := chat.Seal(cipher, 1, "g", "u", "x")
	require.NoError(t, err)
	ks := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{Salt: canaryKey}))
	s.show("types", key, secret, cipher, ks, chat.KeystoreOptions{Salt: canaryKey}, (*chat.Key)(nil), (*chat.Cipher)(nil),
		[]*chat.Key{key}, map[string]*chat.Cipher{"c": cipher}, struct{ K *chat.Key }{key},
		chat.Options{Client: w.Client(), Cipher: cipher, Keys: ks}, &chat.PanicError{Value: canaryBody},
		chat.Message{Body: canaryBody}.Err, chat.Gap{}, chat.Reencryption{})
	for _, text := range []string{fmt.Sprintf("%+v", key), fmt.Sprintf("%#v", secret), cipher.String()} {
		assert.Contains(t, text, "redacted")
	}
	m := chat.Message{Body: canaryBody, Data: chat.M{"body": canaryBody}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Empty(t, leak(fmt.Sprintf(verb, m)), verb)
		assert.Empty(t, leak(fmt.Sprintf(verb, &m)), verb)
		assert.Empty(t, leak(fmt.Sprintf(verb, []chat.Message{m})), verb)
	}
	s.check("types")
}

func TestAConversationShowsNoKeyHoweverItIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	conv := w.converse(w.login("jane"), "bob")
	type held struct { // fmt calls no methods on what is not exported
		p *chat.Conversation
		d chat.Definition
		l []*chat.Conversation
	}
	key := conv.EncryptionKey()
	for _, v := range []any{conv, reflect.ValueOf(conv).Elem().Interface(), held{conv, conv.Definition, []*chat.Conversation{conv}}, &held{p: conv, d: conv.Definition}, conv.Definition} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			text := fmt.Sprintf(verb, v)
			assert.NotContains(t, text, key, verb)
			assert.NotContains(t, text, hex.EncodeToString([]byte(key)), verb)
			assert.NotContains(t, text, strings.Trim(fmt.Sprint([]byte(key)), "[]"), verb)
		}
	}
}

func TestDraftsAndFilesAreLoggedWithoutTheirContent(t *testing.T) {
	t.Parallel()
	data := chat.M{"body": canaryBody}
	for _, v := range []any{
		chat.Draft{Body: canaryBody, Data: data}, chat.File{Name: "a", Content: []byte(canaryBody), URL: "data:," + canaryBody},
		[]chat.File{{Content: []byte(canaryBody)}},
	} {
		var b strings.Builder
		slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
		fmt.Fprintf(&b, "%v %+v %#v %s %d", v, v, v, v, v)
		assert.Empty(t, leak(b.String()), "%T", v)
	}
	n := chat.NewConversation{Metadata: data, Group: data}
	assert.Empty(t, leak(fmt.Sprintf("%v %+v %#v %s %d", n, n, n, n, n)))
	raw, err := json.Marshal(chat.File{Name: "a", Content: []byte(canaryBody)})
	require.NoError(t, err)
	assert.Empty(t, leak(string(raw)))
}

func TestCanaryFindsLeaks(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"x " + canaryToken, canaryBody, fmt.Sprint([]byte(canaryKey)), fmt.Sprintf("%#v", []byte(canaryKey)),
		hex.EncodeToString([]byte(canaryAES)), fmt.Sprintf("%q", canaryPassword), fmt.Sprintf("%X", canaryChatToken),
		base64.StdEncoding.EncodeToString([]byte(canaryKey)),
	} {
		assert.NotEmpty(t, leak(text), text)
	}
	assert.Empty(t, leak("nothing of the kind"))
	assert.Empty(t, leak(canaryBody, canaryBody))
}
