package chat_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

const pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACw="

func TestTheObjectOfAPageIsADraft(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]chat.Draft{
		`{"body":"hello","guid":"g1","sent":false,"conversationId":777,"big":9007199254740993,"nested":{"a":[1.5,null]},"none":null}`: {
			Body: "hello", GUID: "g1",
			Data: chat.M{"sent": false, "conversationId": json.Number("777"), "big": json.Number("9007199254740993"), "nested": chat.M{"a": []any{json.Number("1.5"), nil}}, "none": nil},
		},
		`{"body":"x","file":"https://example.org/a.png"}`:                                          {Body: "x", Files: []chat.File{{URL: "https://example.org/a.png"}}},
		`{"body":"x","file":["v1/media/files/9/contents","` + pixel + `"]}`:                        {Body: "x", Files: []chat.File{{URL: "v1/media/files/9/contents"}, {URL: pixel}}},
		`{"body":"","file":["` + pixel + `"],"_flSchema":{"file":{"name":"a.gif","append":true}}}`: {Files: []chat.File{{URL: pixel, Name: "a.gif"}}},
		`{"body":null,"file":["` + pixel + `"],"guid":null,"_flSchema":null}`:                      {Files: []chat.File{{URL: pixel}}},
		`{"body":"x","file":[]}`: {Body: "x"},
		`{"file":"` + pixel + `","_flSchema":{"file":{"encryptionKey":"K"}}}`:                              {Files: []chat.File{{URL: pixel}}, Data: chat.M{"hasMediaFileWithPrivateEncryptionKey": true}},
		`{"file":"` + pixel + `;filename:a%20b.gif","_flSchema":{"a b.gif":{"encryptionKey":"K"}}}`:        {Files: []chat.File{{URL: pixel + ";filename:a%20b.gif"}}, Data: chat.M{"hasMediaFileWithPrivateEncryptionKey": true}},
		`{"file":"https://x/1","_flSchema":{"file":{"encryptionKey":"K"}},"fileType":"image","body":"hi"}`: {Body: "hi", Files: []chat.File{{URL: "https://x/1"}}, Data: chat.M{"fileType": "image"}},
	} {
		got, err := chat.DraftFromJS([]byte(text))
		require.NoError(t, err, text)
		if len(got.Data) == 0 {
			got.Data = nil
		}
		assert.Equal(t, want, got, text)
	}
}

func TestAnObjectThatIsNoDraftIsRefusedAndNamesTheField(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`[]`: "not a JSON object", `"SECRET"`: "not a JSON object", `{`: "not JSON", `null`: "not a JSON object", ``: "not JSON", `{} {}`: "not JSON",
		`{}`: "empty", `{"body":""}`: "empty", `{"body":7}`: "body:", `{"body":["SECRET"]}`: "body:", `{"body":"x","guid":7}`: "guid:", `{"body":"x","guid":"a\nb"}`: "GUID",
		`{"file":7}`: "file:", `{"file":""}`: "file:", `{"file":{}}`: "send its data URL", `{"file":[{}]}`: "file[0]: an object", `{"file":["https://x/1",7]}`: "file[1]:",
		`{"file":[["https://x/1"]]}`: "file[0]:", `{"file":[null]}`: "file[0]:", `{"file":["blob:https://x/1"]}`: "file[0]: a blob URL", `{"file":"javascript:SECRET"}`: "file:",
		`{"file":"data:image/png;base64"}`: "file", `{"file":"data:image/png;base64,%%%"}`: "file[0]:",
		`{"body":"x","_flSchema":"SECRET"}`: "_flSchema:", `{"body":"x","_flSchema":{"file":7}}`: "_flSchema: file:", `{"body":"x","_flSchema":{"SECRE":{}}}`: "_flSchema:",
		`{"body":"x","_flSchema":{"file":{"encryptionKey":7}}}`: "_flSchema: file.encryptionKey", `{"body":"x","_flSchema":{"file":{"mediaFolderId":7}}}`: "_flSchema: file.mediaFolderId",
		`{"body":"x","_flSchema":{"file":{"name":{}}}}`: "_flSchema: file.name", `{"body":"x","_flSchema":{"file":{"other":""}}}`: "_flSchema: file.other",
		`{"body":"x","fromUserId":"u-bob"}`: "fromUserId", `{"body":"x","flUserToken":"SECRET"}`: "flUserToken", `{"body":"x","flSealedFiles":"x"}`: "flSealedFiles", `{"body":"x","file[]":["x"]}`: "file[]",
		`{"body":"x","deep":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`: "levels",
		`{"body":"x","many":[` + strings.Repeat("[],", 60_000) + `1]}`:                      "values",
		`{"body":"` + strings.Repeat("x", 64<<20) + `"}`:                                    "at most 64 MiB",
	} {
		d, err := chat.DraftFromJS([]byte(text))
		require.ErrorIs(t, err, chat.ErrInvalid, "%.80s", text)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "SECRET")
		assert.Equal(t, chat.Draft{}, d)
	}
}

func TestAPageDoesNotSetWhatIsTheServersOrTheSDKs(t *testing.T) {
	t.Parallel()
	for _, column := range []string{
		"fromUserId", "readBy", "isDeleted", "fileMediaFileId", "id", "dataSourceId", "createdAt", "updatedAt", "deletedAt",
		"isReadByCurrentUser", "isUpdate", "isReplay", "isHistory", "ReadBy", "isdeleted", "data.readBy",
	} {
		_, err := chat.DraftFromJS([]byte(`{"body":"x","` + column + `":["SECRET"]}`))
		require.ErrorIs(t, err, chat.ErrInvalid, column)
		require.ErrorContains(t, err, column)
		assert.NotContains(t, err.Error(), "SECRET")
	}
	d, err := chat.DraftFromJS([]byte(`{"body":"x","deletedAt":null,"readBy":null,"isEdited":true,"order":3}`))
	require.NoError(t, err)
	assert.Equal(t, chat.M{"isEdited": true, "order": json.Number("3")}, d.Data)

	// A message that was received is no draft, so nothing of it is sent by mistake.
	w := newWorld(t)
	jane := w.login("jane")
	raw, err := json.Marshal(w.say(jane, w.converse(jane, "bob"), "hello"))
	require.NoError(t, err)
	_, err = chat.DraftFromJS(raw)
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorContains(t, err, "columns of its data")
}

func TestTextThatIsNoUnicodeIsRefusedRatherThanReplaced(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"body":"cut \ud83d"}`:                    "body: half of a character",
		`{"body":"cut \udE00 off"}`:                "body: half of a character",
		`{"body":"\ud83d\ud83d\ude00"}`:            "body: half of a character",
		`{"body":"\ud83d\u0041"}`:                  "body: half of a character",
		`{"body":"\ud83dx"}`:                       "body: half of a character",
		"{\"body\":\"\xff\"}":                      "body: not UTF-8",
		"{\"body\":\"\xed\xa0\xbd\"}":              "body: not UTF-8",
		`{"body":"x","guid":"\udead"}`:             "guid: half of a character",
		`{"body":"x","note":{"deep":["\udead"]}}`:  "note: half of a character",
		`{"body":"x","file":["https://x/\udead"]}`: "file: half of a character",
		`{"body":"x","no\udead":1}`:                "the name of a field: half of a character",
		`{"body":"x","note":{"\udead":1}}`:         "note: half of a character",
		"{\"body\":\"x\",\"no\xfe\":1}":            "the name of a field: not UTF-8",
	} {
		d, err := chat.DraftFromJS([]byte(text))
		require.ErrorIs(t, err, chat.ErrInvalid, text)
		require.ErrorContains(t, err, says, text)
		assert.Equal(t, chat.Draft{}, d)
	}
	for text, want := range map[string]string{
		`{"body":"\ud83d\ude00"}`: "😀", `{"body":"\\ud83d"}`: `\ud83d`, `{"body":"\\\ud83d\ude00"}`: `\😀`, `{"body":"\ufffd"}`: "\ufffd", `{"body":"\u00e4\n"}`: "ä\n",
	} {
		d, err := chat.DraftFromJS([]byte(text))
		require.NoError(t, err, text)
		assert.Equal(t, want, d.Body)
	}
}

func TestADraftOfAPageIsSentAsItIs(t *testing.T) {
	t.Parallel()
	modes := ownKeys(t)
	modes["the conversation's key"] = func(*chat.Options) {}
	modes["plain"] = plainBodies
	for name, mode := range modes {
		w := newWorld(t)
		jane, bob := w.login("jane", mode), w.login("bob", mode)
		conv := w.converse(jane, "bob")
		d, err := chat.DraftFromJS([]byte(`{"body":"","file":["` + pixel + `"],"guid":"g1","sent":false,"imageWidth":1,"conversationId":` + jsonNumber(conv.ID) +
			`,"hasMediaFileWithPrivateEncryptionKey":true,"_flSchema":{"file":{"encryptionKey":"OF THE PAGE"}}}`))
		require.NoError(t, err)
		_, err = jane.Message(t.Context(), conv.ID, d)
		require.NoError(t, err)
		msgs, err := bob.Messages(t.Context())
		require.NoError(t, err)
		m := msgs[0]
		kind, content := fetch(t, bob, m, 0)
		want, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(pixel, "data:image/gif;base64,"))
		require.NoError(t, err)
		assert.Equal(t, []string{"image/gif", string(want)}, []string{kind, content}, name)
		assert.Equal(t, []any{"g1", false, json.Number("1"), json.Number(jsonNumber(conv.ID))}, []any{m.GUID, m.Data["sent"], m.Data["imageWidth"], m.Data["conversationId"]}, name)
		row := w.Rows(conv.ID)[0]
		_, _, err = w.Client().Download(t.Context(), row.Data["file"].([]any)[0].(string), nil, &strings.Builder{}, nil)
		_, own := ownKeys(t)[name]
		assert.Equal(t, own, err == nil, "%s: the file has the key of the conversation, or is sealed", name)
		assert.Equal(t, !own, row.Data["hasMediaFileWithPrivateEncryptionKey"] == true, name)
	}
}
