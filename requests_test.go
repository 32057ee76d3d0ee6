package chat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
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
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// sentRequest is a request as it left.
type sentRequest struct {
	method string
	url    *url.URL
	header http.Header
	body   string
}

func (r sentRequest) String() string { return r.method + " " + r.url.Path }

// requestTap records requests on their way.
type requestTap struct {
	next http.RoundTripper
	mu   sync.Mutex
	sent []sentRequest
}

func (w *requestTap) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	w.mu.Lock()
	w.sent = append(w.sent, sentRequest{r.Method, r.URL, r.Header.Clone(), string(body)})
	w.mu.Unlock()
	return w.next.RoundTrip(r)
}

func (w *requestTap) all() []sentRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent)
}

// holds reports whether a text holds a secret in one of the usual forms.
func holds(text, secret string) bool {
	if !strings.Contains(text, secret) {
		if plain, err := url.QueryUnescape(text); err == nil && strings.Contains(plain, secret) {
			return true
		}
	}
	quoted := strings.Trim(strconv.QuoteToASCII(secret), `"`)
	forms := []string{secret, quoted, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	for shift := range 3 { // where base64 of something around it has it
		inner := []byte(strings.Repeat("\x00", shift) + secret)
		coded := base64.StdEncoding.EncodeToString(inner[:len(inner)/3*3])
		forms = append(forms, coded[min(len(coded), (shift*8+5)/6):])
	}
	for _, form := range forms {
		if len(form) >= 8 && strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// ways are where a secret may go, by the table in SECURITY.md.
type ways struct {
	header    string
	url, body []string // "PUT v1/data-sources/:id/data"
	disk      bool
	json      string // "", "on request: …" or where it always is
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// theTable reads the table in SECURITY.md.
func theTable(t *testing.T) map[string]ways {
	t.Helper()
	raw, err := os.ReadFile("SECURITY.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(raw), "| secret | header | URL | body | disk | JSON |\n|---|---|---|---|---|---|\n")
	require.True(t, ok)
	out := map[string]ways{}
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 6 {
			break
		}
		list := func(cell string) (spans []string) {
			for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
				spans = append(spans, m[1])
			}
			require.Equal(t, len(spans) == 0, strings.TrimSpace(cell) == "nowhere", "%q", cell)
			return spans
		}
		w := ways{url: list(cells[2]), body: list(cells[3]), disk: strings.HasPrefix(strings.TrimSpace(cells[4]), "Storage")}
		if spans := list(cells[1]); len(spans) > 0 {
			w.header = spans[0]
		}
		require.True(t, w.disk || strings.TrimSpace(cells[4]) == "nowhere", line)
		if w.json = strings.TrimSpace(cells[5]); w.json == "nowhere" {
			w.json = ""
		}
		out[strings.ReplaceAll(strings.TrimSpace(cells[0]), "`", "")] = w
	}
	return out
}

// way is the entry of a list that a request fits, "" if there is none.
func (r sentRequest) way(list []string) string {
	for _, pattern := range list {
		method, path, _ := strings.Cut(pattern, " ")
		path = regexp.QuoteMeta("/" + path)
		path = strings.NewReplacer(":id", `\d+`, ":name", `[^/]+`).Replace(path)
		if method == r.method && regexp.MustCompile("^"+path+"$").MatchString(r.url.Path) {
			return pattern
		}
	}
	return ""
}

// inspection compares what went where with the table.
type inspection struct {
	t     *testing.T
	table map[string]ways
	mu    sync.Mutex
	taken map[string]bool
}

func (i *inspection) took(secret, place, way string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.taken[secret+" | "+place+" | "+way] = true
}

func (i *inspection) requests(mode string, sent []sentRequest, secrets map[string][]string) {
	for name, values := range secrets {
		allowed, ok := i.table[name]
		if !assert.True(i.t, ok, "the table has no row for %s", name) {
			continue
		}
		for _, secret := range values {
			for _, r := range sent {
				for header, list := range r.header {
					if holds(strings.Join(list, "\n"), secret) {
						i.took(name, "header", header)
						assert.True(i.t, strings.EqualFold(header, allowed.header), "%s: %s in the header %s of %s", mode, name, header, r)
					}
				}
				if holds(r.url.String(), secret) {
					way := r.way(allowed.url)
					i.took(name, "URL", way)
					assert.NotEmpty(i.t, way, "%s: %s in the URL of %s", mode, name, r)
				}
				if holds(r.body, secret) {
					way := r.way(allowed.body)
					i.took(name, "body", way)
					assert.NotEmpty(i.t, way, "%s: %s in the body of %s", mode, name, r)
				}
			}
		}
	}
}

func (i *inspection) disk(mode, stored string, secrets map[string][]string) {
	for name, values := range secrets {
		for _, secret := range values {
			if holds(stored, secret) {
				i.took(name, "disk", "")
				assert.True(i.t, i.table[name].disk, "%s: %s in Storage", mode, name)
			}
		}
	}
}

// shown inspects JSON for a page; asked: of what shows secrets on request.
func (i *inspection) shown(mode string, values []any, asked bool, secrets map[string][]string) {
	raw, err := json.Marshal(values)
	require.NoError(i.t, err)
	for name, list := range secrets {
		for _, secret := range list {
			if holds(string(raw), secret) {
				i.took(name, "JSON", "")
				allowed := i.table[name].json
				assert.True(i.t, allowed != "" && (asked || !strings.HasPrefix(allowed, "on request")), "%s: %s in JSON", mode, name)
			}
		}
	}
}

// complete fails when the table has a way that nothing took.
func (i *inspection) complete() {
	for name, w := range i.table {
		if w.header != "" {
			assert.True(i.t, i.taken[name+" | header | "+w.header], "%s is never in the header %s", name, w.header)
		}
		for _, way := range w.url {
			assert.True(i.t, i.taken[name+" | URL | "+way], "%s is never in the URL of %s", name, way)
		}
		for _, way := range w.body {
			assert.True(i.t, i.taken[name+" | body | "+way], "%s is never in the body of %s", name, way)
		}
		if w.disk {
			assert.True(i.t, i.taken[name+" | disk | "], "%s is never in Storage", name)
		}
		if w.json != "" {
			assert.True(i.t, i.taken[name+" | JSON | "], "%s is never in JSON", name)
		}
	}
}

const (
	tapBody, tapFile   = "TAPBODY meet me at the pier", "TAPFILE the plan of the harbour"
	tapPass, tapSalt   = "TAPPASSPHRASEk3y0f32chars", "TAPSALT0123456789"
	tapKey, tapOwnRow  = "TAPKEYSTOREKEY0123456789", "TAPOWNPASSWORD hunter2"
	tapAES             = "TAPAESKEY......................."
	rowPlain, rowFiles = "bodies of messages, not encrypting", "content of files, otherwise"
	rowSealed          = "content of files, with Options.Keys or a Cipher"
)

// tapped are the methods of Chat that the tour of requests calls, or that make none.
const tapped = "BatchSize Channels Close Consume ContactByUserID Contacts Conversation Conversations Create DebugHandler DeleteMessage Download Events FileHandler Fill Format Health History " +
	"JoinConversation Login Logout MarkMessagesAsRead Message Messages Outbox Poll Reencrypt ServeFile Shutdown Stream String Unread UpdateMessage User"

func TestNoSecretLeavesByAWayThatTheTableDoesNotName(t *testing.T) {
	t.Parallel()
	for i := range reflect.TypeFor[*chat.Chat]().NumMethod() {
		name := reflect.TypeFor[*chat.Chat]().Method(i).Name
		assert.Contains(t, strings.Fields(tapped), name, "a new method joins the tour of requests")
	}
	in := &inspection{t: t, table: theTable(t), taken: map[string]bool{}}
	require.Greater(t, len(in.table), 10)
	modes := map[string]func(w *world, o *chat.Options){
		"own keys": func(_ *world, o *chat.Options) {},
		"plain":    func(_ *world, o *chat.Options) { o.EncryptMessages = false },
		"Keys":     func(_ *world, o *chat.Options) { o.Keys = tapKeys{} },
		"Cipher": func(w *world, o *chat.Options) {
			o.Cipher = newCipher(w.t, sure(chat.NewKey("k", []byte(tapAES))), sure(chat.DeriveKeys("m", []byte(tapAES))))
		},
		"Keystore": func(w *world, o *chat.Options) {
			sealed, err := envelope.SealPassphrase(tapKey, tapSalt)
			require.NoError(w.t, err)
			w.AddRows(w.AddDataSource(datasource.M{"name": "keys", "type": "keystore"}), datasource.M{"content": sealed})
			o.Keys = sure(chat.NewKeystore(o.Client, chat.KeystoreOptions{Salt: tapSalt}))
		},
	}
	for _, mode := range []string{"own keys", "plain", "Keys", "Cipher", "Keystore"} {
		synctest.Test(t, func(t *testing.T) { tapTour(t, in, mode, modes[mode]) })
	}
	in.complete()
	for name := range in.table {
		assert.Contains(t, in.sought(), name, "no secret of the test stands for this row")
	}
}

// sought are the rows that tapTour looks for.
func (i *inspection) sought() []string {
	return []string{
		"the API token", "chat tokens, flUserToken", "a conversation's own key", "passphrases of Options.Keys", "the keys of a Cipher",
		"salt and key of a Keystore", "invite codes", "passwords in the query of Login", "bodies of messages, encrypting", rowPlain, rowFiles, rowSealed,
		"names of other contacts", "other columns of other contacts",
	}
}

type tapKeys struct{}

func (tapKeys) Key(context.Context, int64) (string, error) { return tapPass, nil }

// tapTour makes every call once and inspects what leaves.
func tapTour(t *testing.T, in *inspection, mode string, change func(*world, *chat.Options)) {
	ctx := t.Context()
	w := newWorld(t, fliplettest.InProcess(), fliplettest.WithToken("eu--TAPTOKEN5f0c1d2e3b4a"))
	tap := &requestTap{next: w.Transport()}
	client, err := datasource.NewClient(datasource.Config{
		Token: "eu--TAPTOKEN5f0c1d2e3b4a", BaseURL: w.URL, HTTPClient: &http.Client{Transport: tap}, Limiter: datasource.Unlimited(),
		Retry: datasource.RetryPolicy{MaxAttempts: 1, BaseDelay: time.Millisecond, MaxWait: time.Millisecond},
	})
	require.NoError(t, err)
	for name, id := range w.ids { // not seen by the tap
		_, err := w.Client().Update(ctx, w.contacts, id, datasource.M{"Phone": "TAPPHONE of " + name, "Password": tapOwnRow + name, "Full name": "TAPNAME " + name})
		require.NoError(t, err)
	}
	store := newInspected()
	options := func(o *chat.Options) {
		o.Client, o.Storage, o.CrossLogin = client, store, true
		change(w, o)
	}
	w.AddRows(w.contacts, datasource.M{"Email": "dan@example.org", "Full name": "TAPNAME dan", "Phone": "TAPPHONE of dan", "Password": tapOwnRow + "dan"})
	bob := w.connect(options, func(o *chat.Options) { o.Outbox = &chat.OutboxOptions{} })
	eve := w.connect(options)
	jane := w.connect(options)
	var shown []any
	ok := func(v any, err error) {
		t.Helper()
		require.NoError(t, err)
		shown = append(shown, v)
	}
	me, err := jane.Login(ctx, chat.M{"Email": "jane@example.org", "Password": tapOwnRow + "jane"})
	require.NoError(t, err)
	she, err := eve.Login(ctx, chat.M{"Email": "eve@example.org"})
	require.NoError(t, err)
	he, err := bob.Login(ctx, chat.M{"Email": "bob@example.org"})
	require.NoError(t, err)
	shown = append(shown, me, she, he, jane.User())
	withToken, err := jane.Login(ctx, chat.M{"Email": "jane@example.org"}, chat.WithToken())
	require.NoError(t, err)
	_, err = jane.Login(ctx, chat.M{"Email": "jane@example.org", "Password": tapOwnRow + "jane"})
	require.NoError(t, err)
	token, tokenOfEve := me.Data["flUserToken"].(string), she.Data["flUserToken"].(string)
	ok(jane.Login(ctx, chat.M{"flUserToken": token}))
	ok(jane.Contacts(ctx))
	conv, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["bob"]}, AllowInvite: true})
	require.NoError(t, err)
	code, err := conv.InviteCode(ctx)
	require.NoError(t, err)
	ok(eve.JoinConversation(ctx, code))
	ok(jane.Conversations(ctx))
	ok(jane.Conversation(ctx, conv.ID))
	ok(jane.ContactByUserID(ctx, she.UserID))
	draft := chat.Draft{Body: tapBody, Files: []chat.File{{Name: "plan.txt", Content: []byte(tapFile)}}}
	sent, err := jane.Message(ctx, conv.ID, draft)
	require.NoError(t, err)
	shown = append(shown, conv, sent)
	rec := httptest.NewRecorder()
	jane.ServeFile(rec, httptest.NewRequest("GET", "/", nil), sent, 0)
	assert.Equal(t, tapFile, rec.Body.String(), mode)
	_, content := fetch(t, jane, sent, 0)
	assert.Equal(t, tapFile, content, mode)
	ok(jane.UpdateMessage(ctx, conv.ID, sent.ID, chat.M{"body": tapBody + ", edited"}))
	got := stream(t, eve).wait(t, 1)
	assert.Equal(t, tapBody+", edited", got[0].Body, mode)
	require.NoError(t, eve.MarkMessagesAsRead(ctx, got...))
	stream(t, jane).wait(t, 1)
	ok(jane.Messages(ctx))
	ok(conv.Messages().Fetch(ctx))
	ok(conv.Messages().Get(ctx, sent.ID))
	ok(jane.Unread().Get(ctx))
	ok(jane.Unread().Count(ctx))
	for _, err := range jane.Fill(ctx, chat.Gap{Kind: chat.GapHistory, ConversationID: conv.ID, Before: time.Now()}) {
		require.NoError(t, err)
	}
	for _, err := range jane.History(ctx, conv.ID) {
		require.NoError(t, err)
	}
	for range eve.Events(ctx) {
		break
	}
	brief, cancel := context.WithCancel(ctx)
	_ = eve.Consume(brief, "tap", func(context.Context, *chat.Message) error { cancel(); return nil }, chat.StartAt(chat.FromBeginning))
	cancel()
	ch, err := jane.Channels().Create(ctx, "a channel")
	require.NoError(t, err)
	ok(jane.Channels().List(ctx))
	ok(jane.Channels().Join(ctx, ch.ID))
	_ = jane.Channels().Delete(ctx, ch.ID)
	ok(conv.Participants().Fetch(ctx))
	require.NoError(t, conv.Participants().Remove(ctx, w.ids["eve"]))
	require.NoError(t, conv.Participants().Add(ctx, w.ids["eve"]))
	require.NoError(t, conv.Notifications().Mute(ctx))
	require.NoError(t, jane.Poll(ctx, chat.Reset()))
	_, _ = jane.Reencrypt(ctx, conv.ID, nil)
	for range 2 { // a refused token is asked for again
		w.Next(1, fliplettest.CrossSource, fliplettest.RefuseChatToken())
		_ = jane.Poll(ctx, chat.Reset())
	}
	reader := w.connect(options, func(o *chat.Options) { o.FileKeysInURLs = true })
	ok(reader.Login(ctx, chat.M{"Email": "bob@example.org"}))
	withKeys, err := reader.Messages(ctx)
	require.NoError(t, err)
	asked := []any{withToken, withKeys}
	require.NoError(t, jane.DeleteMessage(ctx, conv.ID, sent.ID))
	ok(jane.Message(ctx, conv.ID, chat.Draft{Body: tapBody})) // for the cache
	require.NoError(t, jane.Poll(ctx))
	ok(bob.Conversations(ctx))
	outage := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
	if mode != "plain" {
		draft.Files = nil // the outbox takes files of a chat that does not encrypt only
	}
	ok(bob.Outbox().Add(ctx, conv.ID, draft))

	secrets := map[string][]string{
		"the API token": {"eu--TAPTOKEN5f0c1d2e3b4a"}, "chat tokens, flUserToken": {token, tokenOfEve, he.Data["flUserToken"].(string)}, "a conversation's own key": {conv.EncryptionKey(), w.keyOf(ch.ID)},
		"passphrases of Options.Keys": {tapPass}, "the keys of a Cipher": {tapAES}, "salt and key of a Keystore": {tapSalt, tapKey},
		"invite codes": {code}, "passwords in the query of Login": {tapOwnRow + "jane"}, "bodies of messages, encrypting": {tapBody},
		"names of other contacts": {"TAPNAME dan"}, "other columns of other contacts": {"TAPPHONE of dan", tapOwnRow + "dan"},
	}
	switch mode {
	case "plain":
		secrets[rowPlain], secrets[rowFiles] = []string{tapBody}, []string{tapFile}
		delete(secrets, "bodies of messages, encrypting")
	case "own keys":
		secrets[rowFiles] = []string{tapFile}
	default:
		secrets[rowSealed] = []string{tapFile}
	}
	in.disk(mode, store.dump(), secrets)
	in.shown(mode, append(shown, rec.Header()), false, secrets)
	in.shown(mode, asked, true, secrets)
	outage.Off()
	require.NoError(t, bob.Logout(ctx))
	require.NoError(t, eve.Logout(ctx))
	require.NoError(t, jane.Logout(ctx))
	require.NoError(t, jane.Shutdown(ctx))
	in.requests(mode, tap.all(), secrets)
}

// keyOf is a conversation's key, as the server has it.
func (w *world) keyOf(id int64) string {
	for _, s := range w.Sources() {
		if s.ID == id {
			raw, err := json.Marshal(s.Definition)
			require.NoError(w.t, err)
			var def struct{ EncryptionKey string }
			require.NoError(w.t, json.Unmarshal(raw, &def))
			return def.EncryptionKey
		}
	}
	return "no such conversation"
}

func TestTheTapFindsSecretsInEveryForm(t *testing.T) {
	t.Parallel()
	const secret = "TAPSECRET+/=9a8b7c"
	for _, text := range []string{
		secret, "x=" + url.QueryEscape(secret), url.PathEscape(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), strconv.Quote(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("a" + secret + "b")), base64.StdEncoding.EncodeToString([]byte("ab" + secret)),
	} {
		assert.True(t, holds(text, secret), text)
	}
	assert.False(t, holds("nothing of the kind", secret))
}

func TestTheJSONOfConversationsAndContactsHasNoTokenKeyOrInviteCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv, err := jane.Create(t.Context(), chat.NewConversation{
		Participants: []int64{w.ids["bob"]}, AllowInvite: true,
		Metadata: chat.M{"nested": []any{chat.M{"flUserToken": "CANARY", "keep": 7}}}, Group: chat.M{"encryptionKey": "CANARY", "type": "x"},
	})
	require.NoError(t, err)
	code, err := conv.InviteCode(t.Context())
	require.NoError(t, err)
	ch, err := jane.Channels().Create(t.Context(), "a channel")
	require.NoError(t, err)
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	user := jane.User()
	require.NotEmpty(t, user.Data["flUserToken"])
	user.Data["more"] = chat.M{"FlUserToken": "CANARY", "auth_token": "CANARY"}
	for _, v := range []any{conv, list[0], list, conv.Definition, &conv.Definition, ch, *ch, ch.Definition, user, *user, []*chat.Contact{user}} {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		text := string(raw) + fmt.Sprintf("%v %+v %#v", v, v, v)
		for _, secret := range []string{code, conv.EncryptionKey(), w.keyOf(ch.ID), user.Data["flUserToken"].(string), "CANARY"} {
			assert.NotContains(t, text, secret, "%T", v)
		}
	}
	raw, err := json.Marshal(conv)
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"keep":7`)
	assert.Equal(t, conv.EncryptionKey(), w.keyOf(conv.ID), "the server still has it")
}
