package chathttp_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/chathttp"
)

// object is JSON as a page sees it.
type object = map[string]any

func column(t testing.TB, v any, name string) any {
	t.Helper()
	data, ok := v.(object)["data"].(object)
	require.True(t, ok, "%v", v)
	return data[name]
}

// One story with every method, in the order in which a page could call them. Each step says
// what a page of the JavaScript API relies on.
func TestEveryMethodAnswersAsTheJavaScriptAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, everyMethod)
}

func everyMethod(t *testing.T) {
	w := newWorld(t, chathttp.Options{EncryptionKeys: true})
	tested := map[string]bool{}
	do := func(who, method string, args ...any) (out any) {
		t.Helper()
		tested[method] = true
		w.call(who, method, &out, args...)
		return out
	}
	id := func(v any) any { return v.(object)["id"] }
	email := object{"Email": object{"$iLike": "JANE@example.org"}}

	me := do("jane", "login", email)
	janeID, isText := column(t, me, "flUserId").(string)
	require.True(t, isText)
	assert.Nil(t, column(t, me, "flUserToken"), "a credential")
	assert.Equal(t, me, do("jane", "user"))
	assert.Len(t, do("jane", "contacts"), 3)
	assert.Len(t, do("jane", "contacts", object{"where": object{"Email": "bob@example.org"}, "limit": 1, "order": [][]string{{"data.Email", "DESC"}}}), 1)
	page := do("jane", "contacts", object{"includePagination": true, "limit": 1}).(object)
	assert.Len(t, page["entries"], 1)
	assert.EqualValues(t, 3, page["pagination"].(object)["total"])
	assert.Equal(t, []any{}, do("eve", "conversations"))

	conv := do("jane", "create", object{"participants": strconv.FormatInt(w.ids["bob"], 10), "name": "Talk", "metadata": object{"color": "red"}, "allowInvite": true})
	assert.Equal(t, true, conv.(object)["isNew"])
	assert.Equal(t, object{"color": "red"}, conv.(object)["definition"].(object)["metadata"])
	assert.Equal(t, false, do("jane", "create", object{"participants": []int64{w.ids["bob"]}}).(object)["isNew"])
	c := id(conv)
	assert.Equal(t, "Talk", do("bob", "conversations.get", c).(object)["name"])
	assert.Len(t, do("bob", "conversations", object{"offline": false}), 1)

	sent := do("jane", "message", c, object{"body": "Hello", "guid": "g1", "mood": "fine", "file": []string{}})
	assert.Equal(t, "Hello", column(t, sent, "body"))
	assert.Equal(t, "fine", column(t, sent, "mood"))
	assert.Equal(t, []any{janeID}, column(t, sent, "readBy"))
	assert.Nil(t, sent.(object)["deletedAt"])
	again := do("jane", "message", c, object{"body": "Hello", "guid": "g1", "mood": "fine"})
	assert.Equal(t, id(sent), id(again), "a repeated send is stored once")
	edited := do("jane", "updateMessage", c, id(sent), object{"body": "Hello!", "isEdited": true, "file": nil, "readBy": nil})
	assert.Equal(t, "Hello!", column(t, edited, "body"))
	assert.Equal(t, []any{janeID}, column(t, edited, "readBy"))

	assert.EqualValues(t, 1, do("bob", "unread.count"))
	unread := do("bob", "unread.get").(object)["entries"].([]any)
	require.Len(t, unread, 1)
	assert.Nil(t, do("bob", "markMessagesAsRead", unread), "what it got it gives back")
	assert.EqualValues(t, 0, do("bob", "unread.count"))
	assert.Nil(t, do("bob", "markMessagesAsRead", []any{}))

	found := do("bob", "messages", object{"conversations": []any{c}, "limit": 50, "where": object{"createdAt": object{"$lte": "2999-01-01T00:00:00.000Z"}}})
	require.Len(t, found, 1)
	assert.Equal(t, true, found.([]any)[0].(object)["isReadByCurrentUser"])
	assert.Len(t, do("bob", "messages.fetch", c, object{"where": object{"mood": "fine"}}), 1)
	assert.Equal(t, "Hello!", column(t, do("bob", "messages.get", c, id(sent)), "body"))
	do("bob", "message", c, object{"body": "second"})
	history := do("bob", "messages.history", c, object{"limit": 1}).([]any)
	require.Len(t, history, 1)
	assert.Equal(t, "second", column(t, history[0], "body"))
	older := do("bob", "messages.history", c, object{"before": history[0]}).([]any)
	require.Len(t, older, 1)
	assert.Equal(t, "Hello!", column(t, older[0], "body"))

	assert.Len(t, do("jane", "participants.get", c), 2)
	assert.Equal(t, "Jane", column(t, do("jane", "participants.fetch", c).([]any)[0], "Full name"))
	assert.EqualValues(t, 3, do("jane", "participants.add", c, w.ids["eve"]).(object)["nParticipants"])
	assert.EqualValues(t, 2, do("jane", "participants.remove", c, []int64{w.ids["eve"]}).(object)["nParticipants"])
	assert.Equal(t, true, do("bob", "notifications.mute", c).(object)["isMuted"])
	assert.Equal(t, false, do("bob", "notifications.unmute", c).(object)["isMuted"])
	code := do("jane", "getInviteCode", c)
	assert.NotEmpty(t, do("jane", "getEncryptionKey", c))
	assert.Equal(t, c, id(do("eve", "conversations.join", code)))

	channel := do("jane", "channels.create", "News")
	assert.Len(t, do("bob", "channels.get"), 1)
	joined := do("bob", "channels.join", id(channel))
	assert.Equal(t, true, joined.(object)["isChannel"])
	assert.EqualValues(t, 1, joined.(object)["nParticipants"])
	status, _ := w.refused("bob", "channels.delete", id(channel))
	assert.Equal(t, http.StatusForbidden, status)
	tested["channels.delete"] = true

	assert.EqualValues(t, 200, do("jane", "getBatchSize"))
	assert.Nil(t, do("jane", "poll"))
	assert.Nil(t, do("jane", "poll", object{"reset": true}))
	assert.Nil(t, do("jane", "deleteMessage", c, id(sent)))
	status, _ = w.refused("jane", "messages.get", c, id(sent))
	assert.Equal(t, http.StatusNotFound, status)
	assert.Nil(t, do("eve", "logout"))
	status, _ = w.refused("eve", "conversations")
	assert.Equal(t, http.StatusUnauthorized, status)

	for _, method := range chathttp.Methods() {
		assert.True(t, tested[method], "%s is in no step", method)
	}
}

func TestArgumentsThatAreUnusableAreRefusedByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	conv := w.converse("jane", "bob")
	before := len(w.Requests())
	for call, says := range map[string]string{
		`message []`:                                         "conversationId",
		`message ["x", {"body":"a"}]`:                        "conversationId",
		`message [-1, {"body":"a"}]`:                         "conversationId",
		`message [1.5, {"body":"a"}]`:                        "conversationId",
		`message [{"a":1}, {"body":"a"}]`:                    "conversationId",
		`message [ID]`:                                       "message",
		`message [ID, null]`:                                 "message",
		`message [ID, "Hello"]`:                              "object",
		`message [ID, {"body": 7}]`:                          "body",
		`message [ID, {"body":"a","fromUserId":"eve"}]`:      "fromUserId",
		`message [ID, {"body":"a","file":"javascript:1"}]`:   "file",
		`updateMessage [ID, 0, {"body":"a"}]`:                "messageId",
		`updateMessage [ID, 1, []]`:                          "data",
		`updateMessage [ID, 1, {"fromUserId":"eve"}]`:        "fromUserId",
		`updateMessage [ID, 1, {"readBy":["eve"]}]`:          "readBy",
		`deleteMessage [ID]`:                                 "messageId",
		`create [{"participants":"all"}]`:                    "options.participants",
		`create [{"participant":[1]}]`:                       "participants",
		`create [{"participants":[1],"group":7}]`:            "options.group",
		`contacts [{"limit":"many"}]`:                        "options.limit",
		`contacts [{"order":"Email"}]`:                       "options.order",
		`contacts [{"order":[["Email","UP"]]}]`:              "ASC or DESC",
		`contacts [{"dataSourceEntryId":{"$gt":0}}]`:         "options.dataSourceEntryId",
		`contacts [{"dataSourceEntryId":"all"}]`:             "options.dataSourceEntryId",
		`contacts [7]`:                                       "options",
		`messages [{"conversations":["x"]}]`:                 "options.conversations",
		`messages [{"where":"createdAt"}]`:                   "options.where",
		`messages.history [ID, {"limit":201}]`:               "options.limit",
		`messages.history [ID, {"before":7}]`:                "options.before",
		`markMessagesAsRead []`:                              "messages",
		`markMessagesAsRead [["x"]]`:                         "messages[0]",
		`markMessagesAsRead [[7]]`:                           "messages[0]",
		`participants.add [ID, ["x"]]`:                       "contactIds",
		`channels.join ["general"]`:                          "channelId",
		`channels.create [7]`:                                "name",
		`conversations.join [7]`:                             "code",
		`login ["jane"]`:                                     "query",
		`login [{"Email":{"$regex":"."}}]`:                   "query.Email",
		`login [{"$or":[]}]`:                                 "$or",
		`login [{"Email":null}]`:                             "query.Email",
		`poll [{"reset":"yes"}]`:                             "options.reset",
		`contacts {"where":{}}`:                              "list of the arguments",
		`contacts [`:                                         "list of the arguments",
		`contacts [{"aggregate":"x"}]`:                       "options.aggregate",
		`message [ID, {"body":"` + "\xff" + `"}]`:            "UTF-8",
		`message [99999999999999999999, {"body":"a"}]`:       "conversationId",
		`message ["1e3", {"body":"a"}]`:                      "conversationId",
		`conversations [{"offline":1}]`:                      "options.offline",
		`unknown []`:                                         "no method",
		`message [ID, {"body":"a","file":["file/0/0/0"]}]`:   "file",
		`message [ID, {"body":"a","file":["blob:https:x"]}]`: "file",
	} {
		method, args, _ := strings.Cut(call, " ")
		args = strings.ReplaceAll(args, "ID", strconv.FormatInt(conv.ID, 10))
		res, body := w.request("jane", http.MethodPost, "call/"+method, args)
		want := http.StatusBadRequest
		switch {
		case method == "unknown":
			want = http.StatusNotFound
		case strings.Contains(call, "aggregate"):
			want = http.StatusForbidden
		}
		assert.Equal(t, want, res.StatusCode, "%s: %s", call, body)
		var told struct{ Message string }
		require.NoError(t, json.Unmarshal(body, &told), "%s: %s", call, body)
		assert.Contains(t, told.Message, says, call)
	}
	assert.Len(t, w.Requests(), before, "requests to Fliplet")
}
