package datasource_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// foreignSecrets are what a server may say of somebody else's secrets, none of which was in the request.
var foreignSecrets = []string{
	"flUserToken=CANARY", "password: CANARY", "password is CANARY", "the password was CANARY", "pwd=CANARY", "pass CANARY", "secret=CANARY", "client_secret => CANARY", "clientSecret: CANARY",
	"api_key=CANARY", "apiKey: CANARY", "access_token=CANARY", "refresh-token: CANARY", "key=CANARY", "encryption key CANARY", "flUserToken CANARY is bad",
	"Bearer CANARY", "Authorization: Bearer CANARY", "authorization: Basic CANARY", "Cookie: sid=CANARY", "inviteCode=CANARY", "x-signature: CANARY", `{"password":"CANARY"}`,
	`{\"password\":\"two CANARY words\"}`, `password='two CANARY words'`, "&quot;password&quot;:&quot;CANARY&quot;", "password%3DCANARY", "pass\u200bword: CANARY", "password\x00=\tCANARY",
	"see https://files.example.org/a?signature=CANARY&x=1", "see ftp://h/a?sig=CANARY", "see //h/a?x=CANARY", "see /v1/media/files/1?x=CANARY", "a.png?x=CANARY", "https://h/a#CANARY", "https://h/a?CANARY",
	"https://user:CANARY@host/path", "postgres://user:CANARY@host/db", "https://CANARY@host", "//user:CANARY@host", "user:CANARY@tcp(host)", "https://user:p@CANARY@host",
	"body was CANARY and more", "body is meet me CANARY", `body: "meet me CANARY"`, `{"body":"meet me CANARY"}`, "plain text: meet CANARY",
	"no row 6PuqIB7DB4QSylLfh1JECLHYCANARY0", "eu--2f70eebc5b53150773d1951f6aCANARY", "U2FsdGVkX1+N+o0nP+EPGHymuYlMN54iF6+CANARY7/O8nWm", "138e2a7f-47d9-40c3-bf88-CANARY7d51d7",
	"eyJhbGciOiJIUzI1NiJ9.CANARYzdWIiOiIxMjM0NTY3ODkwIn0.x", "kXqZbWvTnMpLrSdFCANARYhGjK", "密钥6PuqIB7DB4QSylLfh1JCANARY0", "a-_pass=CANARY",
	"bearer=CANARY", "bearer: CANARY", `"bearer":"CANARY"`, "Bearer => CANARY", "basic: CANARY", "basic=CANARYdXNlcg==", "digest: CANARY", "digest => CANARY", "basic_auth=CANARY", "digest-auth: CANARY",
	"password for bob: CANARY", "password of user bob@example.org = CANARY", "the flUserToken for contact 5 is CANARY", `api_key for "bob": "two CANARY words"`, "secret for the account main => CANARY",
	"(password)=(CANARY)", "(api_key): (CANARY)", "<password>CANARY</password>", "<flUserToken type=\"text\">two CANARY words</flUserToken>", "<ns:apiKey>CANARY</ns:apiKey>",
}

func TestAnErrorHasNoSecretThatTheServerSaysOfSomebodyElse(t *testing.T) {
	t.Parallel()
	for _, said := range foreignSecrets {
		quoted, _ := json.Marshal(said)
		for name, body := range map[string]string{
			"message": `{"message":%s}`, "error": `{"error":%s,"message":"m"}`, "type": `{"type":%s,"message":"m"}`, "code": `{"code":%s,"message":"m"}`,
			"description": `{"description":%s}`, "inside": `{"error":{"message":%[1]s,"type":%[1]s,"code":%[1]s,"payload":%[1]s,"referenceUrl":%[1]s}}`,
			"payload": `{"message":"m","payload":{"a":[%[1]s,{"b":%[1]s,%[1]s:1}]}}`, "referenceUrl": `{"message":"m","referenceUrl":%s}`, "string": `%s`,
			"text": "",
		} {
			answered := fmt.Sprintf(strings.ReplaceAll(body, "%s", "%[1]s"), quoted)
			if name == "text" {
				answered = "no: " + said
			}
			client := through(t, func(r *http.Request) (*http.Response, error) { return respond(r, 400, answered), nil })
			_, err := client.Find(t.Context(), 1, datasource.Query{})
			e, ok := errors.AsType[*datasource.Error](err)
			require.True(t, ok, "%v", err)
			shown := fmt.Sprintf("%v %#v %s %s %s %s %s", err, err, e.Message, e.Code, e.Type, e.ReferenceURL, e.Payload)
			assert.NotContains(t, shown, "CANARY", "%s: %s", name, said)
			assert.True(t, e.Payload == nil || json.Valid(e.Payload), "%s", e.Payload)
		}
		client := through(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("proxy: " + said) },
			func(cfg *datasource.Config) { cfg.Retry.MaxAttempts = 1 })
		_, err := client.Find(t.Context(), 1, datasource.Query{})
		assert.NotContains(t, fmt.Sprintf("%v %#v", err, err), "CANARY", "transport: %s", said)
	}
}

func TestAPayloadHasNothingOfAMemberWithTheNameOfASecret(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"token":{"a":["x",{"b":"}"}]},"n":1}`:           `{"token":"REDACTED","n":1}`,
		`{"apiKey" : [1,2] , "n":1}`:                      `{"apiKey" : "REDACTED" , "n":1}`,
		`[{"pwd":true},{"secret":null},{"body":"x"}]`:     `[{"pwd":"REDACTED"},{"secret":null},{"body":"REDACTED"}]`,
		`{"dataSourceId":123,"columns":["Full name"]}`:    `{"dataSourceId":123,"columns":["Full name"]}`,
		`{"Password1":12345,"access_token":-1.5e3}`:       `{"Password1":"REDACTED","access_token":"REDACTED"}`,
		`{"a":"<b> & c","url":"https://h/a/b","x":"\"}"}`: `{"a":"<b> & c","url":"https://h/a/b","x":"\"}"}`,
	} {
		client := through(t, func(r *http.Request) (*http.Response, error) {
			return respond(r, 400, `{"message":"m","payload":`+payload+`}`), nil
		})
		_, err := client.Find(t.Context(), 1, datasource.Query{})
		e, _ := errors.AsType[*datasource.Error](err)
		assert.Equal(t, want, string(e.Payload))
	}
}

func TestWhatAServerSaysInSentencesStays(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		`The security rules for the Data Source "Contacts 2026" do not allow this app to read data.`, "The auth_token provided doesn't belong to any user.",
		"The flUserToken provided is not valid.", "Data source not found", "flUserToken is required.", "The password is wrong", "the token has expired", "token is missing",
		"entries[12].data must be an object.", "hasMediaFileWithPrivateEncryptionKey is unknown", "v1/data-sources/102/data/5003 is locked until 2026-11-27T23:12:48.123Z",
		"column Email of com.fliplet.push-notifications is unknown", "the body is too long", "dial tcp 10.0.0.1:443: connect: connection refused",
		"see https://developers.fliplet.com/Rate-limiting-for-API.html", "Unknown key Email", "and/or? yes", "limit 1000000", "internationalization failed", "Basic: a plan", "the password for bob is wrong", "no token for user 5: it has expired", "keys of columns: Email", "数据源未找到请与管理员联系以获取更多信息",
	} {
		quoted, _ := json.Marshal(said)
		client := through(t, func(r *http.Request) (*http.Response, error) {
			return respond(r, 400, `{"message":`+string(quoted)+`}`), nil
		})
		_, err := client.Find(t.Context(), 1, datasource.Query{})
		e, _ := errors.AsType[*datasource.Error](err)
		assert.Equal(t, said, e.Message)
	}
}
