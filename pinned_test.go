package chat_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// masked replaces what is drawn at random.
var masked = strings.NewReplacer("\n", "")

var random = map[*regexp.Regexp]string{
	regexp.MustCompile(`"encryptionKey":"[0-9a-zA-Z]{32}"`): `"encryptionKey":"<key>"`,
	regexp.MustCompile(`"inviteCode":"[0-9a-f]{32}"`):       `"inviteCode":"<code>"`,
	regexp.MustCompile(`"U2FsdGVkX1[0-9a-zA-Z+/=]+"`):       `"<ciphertext>"`,
}

// Requests that give or use rights, byte for byte: who may read and write, who is notified,
// what native apps ship, and in whose name a message is stored.
func TestRequestsThatCarryRightsArePinned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.WithApps(77))
	tap := &requestTap{next: w.Transport()}
	jane := w.login("jane", w.through(tap), func(o *chat.Options) { o.MasterAppID, o.PushNotifications = 77, true })
	ctx, me := t.Context(), jane.User().UserID
	other, err := jane.Contacts(ctx, chat.Where(chat.M{"Email": "bob@example.org"}))
	require.NoError(t, err)
	bob := other[0].UserID
	writes := func(call func()) []string {
		t.Helper()
		before := len(tap.all())
		call()
		var out []string
		for _, r := range tap.all()[before:] {
			if r.method == http.MethodGet || strings.HasSuffix(r.url.Path, "/query") || r.url.Path == "/v1/data-sources/data" {
				continue
			}
			assert.Equal(t, []string{w.Token}, r.header["Auth-Token"], "the app's rights, in the header alone")
			body := masked.Replace(r.body)
			for pattern, mask := range random {
				body = pattern.ReplaceAllString(body, mask)
			}
			line := r.method + " " + r.url.Path
			if r.url.RawQuery != "" {
				line += "?" + r.url.RawQuery
			}
			out = append(out, line+" "+body)
		}
		return out
	}
	const rights = `"bundle":false,"hooks":[{"appId":%d,"runOn":["insert"],"type":"push-message"}],"accessRules":[{"type":["select","insert","update","delete"],"allow":"all"}]}`
	var talk *chat.Conversation
	assert.Equal(t, []string{
		fmt.Sprintf(`PUT /v1/data-sources/%d/data/%d {"flUserId":%q}`, w.contacts, w.ids["bob"], bob),
		fmt.Sprintf(`POST /v1/data-sources {"appId":%d,"type":"conversation","name":"Talk","definition":{"encryptionKey":"<key>","group":{"public":false},"inviteCode":"<code>","metadata":{"a":1},"participants":[%q,%q]},`+rights, w.AppID, me, bob, w.AppID),
	}, writes(func() {
		talk, err = jane.Create(ctx, chat.NewConversation{
			Participants: []int64{w.ids["bob"]}, Name: "Talk", Group: chat.M{"public": false}, Metadata: chat.M{"a": 1}, AllowInvite: true,
		})
		require.NoError(t, err)
	}))
	assert.Equal(t, []string{
		fmt.Sprintf(`POST /v1/data-sources {"appId":77,"type":"conversation","name":"News","definition":{"encryptionKey":"<key>","group":{"public":true},"participants":[]},`+rights, w.AppID),
	}, writes(func() { _, err := jane.Channels().Create(ctx, "News"); require.NoError(t, err) }))
	assert.Equal(t, []string{
		fmt.Sprintf(`PUT /v1/data-sources/%d/data?flUserToken=%s {"body":"<ciphertext>","conversationId":%d,"file":[],"fromUserId":%q,"guid":"g-1","readBy":[%q]}`, talk.ID, w.token("jane"), talk.ID, me, me),
	}, writes(func() {
		_, err := jane.Message(ctx, talk.ID, chat.Draft{Body: "hello", GUID: "g-1"})
		require.NoError(t, err)
	}))
	quiet := w.login("jane", w.through(tap))
	sent := writes(func() {
		_, err := quiet.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["eve"]}, Name: "Quiet"})
		require.NoError(t, err)
	})
	require.Len(t, sent, 2)
	assert.Contains(t, sent[1], `"hooks":[],`, "without PushNotifications")
}

// Without options of its own a Chat waits 1.6 to 2 s after something happened, half as much
// more at a time, and up to 20 s.
func TestTheWaitGrowsSlowlyWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		plainDefaults := func(o *chat.Options) { o.LivePollInterval, o.PollInterval, o.MaxPollInterval = 0, 0, 0 }
		bob := w.login("bob", plainDefaults)
		w.converse(bob, "jane")
		_, err := bob.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		time.Sleep(25 * time.Minute)
		var gaps []time.Duration
		var last time.Time
		for _, r := range w.Requests() {
			if r.Route == fliplettest.CrossSource {
				if !last.IsZero() && r.Time.Sub(last) > 500*time.Millisecond { // not pages of one poll
					gaps = append(gaps, r.Time.Sub(last))
				}
				last = r.Time
			}
		}
		steps, different := map[int]bool{}, map[time.Duration]bool{}
		longest := 2 * time.Second
		for _, gap := range gaps {
			assert.LessOrEqual(t, gap, longest+longest/2, "no jump")
			assert.GreaterOrEqual(t, gap, 1600*time.Millisecond)
			assert.LessOrEqual(t, gap, 20*time.Second)
			longest = max(longest, gap*5/4) // a fifth of jitter
			steps[int(gap/time.Second)] = true
			different[gap] = true
		}
		assert.LessOrEqual(t, gaps[0], 2*time.Second)
		assert.Greater(t, len(steps), 8, "it grows in steps")
		assert.Greater(t, len(different), len(gaps)*9/10, "jitter")
		assert.Greater(t, gaps[len(gaps)-1], 15*time.Second, "the cadence when it is quiet is 20 s")
		require.NoError(t, bob.Close())
	})
}
