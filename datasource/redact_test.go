package datasource_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// canaries stand where secrets do. Every one of them ends in "canary".
const (
	tokenCanary = "eu--token+/=canary"
	userCanary  = "flusertoken-canary"
	keyCanary   = "encryption+key/canary"
	bodyCanary  = "messagebody-canary"
)

// shown is v in every form in which values end up in logs.
func shown(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v %s %q\n", v, v, v, v, v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
	text, err := json.Marshal(v)
	require.NoError(t, err)
	b.Write(text)
	fmt.Fprintf(&b, "%v %+v %#v", []any{v}, map[string]any{"v": v}, struct{ V any }{v})
	return b.String()
}

func assertNoSecret(t *testing.T, text, what string) {
	t.Helper()
	for _, secret := range []string{
		tokenCanary, url.QueryEscape(tokenCanary), base64.StdEncoding.EncodeToString([]byte(tokenCanary)), userCanary, keyCanary, url.QueryEscape(keyCanary), bodyCanary, "canary",
	} {
		require.NotContains(t, text, secret, what)
	}
}

func TestConfigurationAndClientShowNoToken(t *testing.T) {
	t.Parallel()
	cfg := datasource.Config{Token: tokenCanary, BaseURL: "https://user:canary@fliplet.example/x?auth_token=canary#canary", UserAgent: "bot/1"}
	for _, v := range []any{cfg, &cfg} {
		assertNoSecret(t, shown(t, v), "Config")
		assert.Contains(t, shown(t, v), "fliplet.example")
	}
	for _, verb := range []string{"%s", "%q", "%x", "%d", "%t"} {
		assertNoSecret(t, fmt.Sprintf(verb, cfg), "Config as "+verb)
	}
	client, err := datasource.NewClient(datasource.Config{Token: tokenCanary})
	require.NoError(t, err)
	for _, v := range []any{client, *client} {
		assertNoSecret(t, shown(t, v), "Client")
		assert.Contains(t, shown(t, v), "api.fliplet.com")
	}
	hidden := struct{ c *datasource.Client }{client} // fmt cannot call the methods of what is not exported
	assertNoSecret(t, fmt.Sprintf("%v %+v %#v", hidden, hidden, hidden), "Client inside")
	copied := struct{ c datasource.Client }{*client}
	assertNoSecret(t, fmt.Sprintf("%v %+v %#v", copied, copied, copied), "Client copied inside")
}

// everything runs every operation, with secrets in its arguments, and returns what came out.
func everything(t *testing.T, c *datasource.Client) (errs []error) {
	ctx := t.Context()
	add := func(err error) { errs = append(errs, err) }
	add(second(c.InsertEntry(ctx, 1, datasource.Write{Data: M{"body": bodyCanary}, Params: url.Values{"flUserToken": {userCanary}}})))
	add(second(c.UpdateEntry(ctx, 1, 2, datasource.Write{
		Data: M{"body": bodyCanary, "_flSchema": M{"file": M{"encryptionKey": keyCanary}}}, Params: url.Values{"flUserToken": {userCanary}},
		Files: []datasource.Part{{Field: "file[]", Filename: "a.png", Content: []byte(bodyCanary)}}})))
	add(second(c.Find(ctx, 1, datasource.Query{Where: M{"flUserToken": userCanary, "password": bodyCanary}})))
	add(second(c.FindAcross(ctx, []byte(`{"flUserToken":"`+userCanary+`"}`), nil)))
	add(second(c.CountAcross(ctx, []byte(`{"flUserToken":"`+userCanary+`"}`))))
	add(c.Call(ctx, http.MethodPost, "v1/auth/login", url.Values{"auth_token": {tokenCanary}}, url.Values{"password": {bodyCanary}}, nil))
	add(second(c.DataSources(ctx, datasource.SourceFilter{Definition: M{"inviteCode": bodyCanary}})))
	_, _, err := c.Download(ctx, "v1/media/files/1/contents?auth_token="+url.QueryEscape(tokenCanary), url.Values{"encryptionKey": {keyCanary}}, &bytes.Buffer{}, nil)
	add(err)
	return errs
}

func second(_ any, err error) error { return err }

func TestNoSecretReachesALogLineOrAnError(t *testing.T) {
	t.Parallel()
	echo := func(status int) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			body := `{"message":"you sent ` + tokenCanary + ` to ` + strings.ReplaceAll(r.URL.String(), `"`, ``) + ` and \"flUserToken\":\"` + userCanary +
				`\" {encryptionKey: '` + keyCanary + `'} Bearer ` + base64.StdEncoding.EncodeToString([]byte(tokenCanary)) + `",` +
				`"payload":{"flUserToken":"` + userCanary + `","auth_token":"` + tokenCanary + `","encryptionKey":"` + keyCanary + `"},` +
				`"type":"t ` + tokenCanary + `","error":"e auth_token=` + tokenCanary + `"}`
			return respond(r, status, body), nil
		}
	}
	for name, rt := range map[string]roundTrip{
		"refusal":      echo(400),
		"server error": echo(500),
		"429":          echo(429),
		"redirect": func(r *http.Request) (*http.Response, error) {
			return respond(r, 307, ``, "Location", "https://evil.example/?auth_token="+url.QueryEscape(tokenCanary)), nil
		},
		"not JSON": func(r *http.Request) (*http.Response, error) {
			return respond(r, 200, `<html>`+tokenCanary+userCanary+keyCanary+bodyCanary), nil
		},
		"text refusal": func(r *http.Request) (*http.Response, error) {
			return respond(r, 500, "no: auth_token="+tokenCanary+"&flUserToken="+userCanary+"; "+url.QueryEscape(tokenCanary)), nil
		},
		"transport": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("proxy refused %s with %s", r.URL, r.Header.Get("Auth-Token"))
		},
		"nested url error": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("proxy: %w", &url.Error{Op: "PUT", URL: r.URL.String() + "&flUserToken=" + userCanary, Err: errors.New("refused")})
		},
	} {
		var log bytes.Buffer
		client := through(t, rt, func(cfg *datasource.Config) {
			cfg.Token = tokenCanary
			cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			cfg.Retry = datasource.RetryPolicy{MaxAttempts: 2, BaseDelay: 1, MaxWait: 1}
		})
		for i, err := range everything(t, client) {
			if err == nil {
				continue // a redirected download ends well
			}
			what := fmt.Sprintf("%s, call %d", name, i)
			var b bytes.Buffer
			fmt.Fprintf(&b, "%v %+v %#v %q", err, err, err, err)
			for _, e := range chain(err) {
				b.WriteString(shownError(t, e))
			}
			if e, ok := errors.AsType[*url.Error](err); ok {
				b.WriteString(e.URL)
			}
			if e, ok := errors.AsType[*datasource.Error](err); ok {
				b.Write(e.Payload)
				b.WriteString(e.Message + e.Code + e.Type)
			}
			assertNoSecret(t, b.String(), what)
		}
		assertNoSecret(t, log.String(), name)
		assert.Contains(t, log.String(), "method=PUT", name)
	}
}

func shownError(t *testing.T, err error) string {
	if _, ok := err.(json.Marshaler); ok {
		return shown(t, err)
	}
	return fmt.Sprintf("%v %+v %#v", err, err, err)
}

func TestAPayloadStaysJSONWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"password":null,"flUserToken":"x y","encryptionKey":7,"n":1.0}`:        `{"password":null,"flUserToken":"REDACTED","encryptionKey":"REDACTED","n":1.0}`,
		`{"raw":"{\"auth_token\":\"x\"}","url":"https://x/y?z=1"}`:               `{"raw":"{\"auth_token\":\"REDACTED\"}","url":"https://x/y?REDACTED"}`,
		`["` + tokenCanary + `",{"authToken" : "a"},{"token of all":"keep me"}]`: `["REDACTED",{"authToken" : "REDACTED"},{"token of all":"keep me"}]`,
	} {
		client := through(t, func(r *http.Request) (*http.Response, error) {
			return respond(r, 400, `{"message":"m","payload":`+payload+`}`), nil
		}, func(cfg *datasource.Config) { cfg.Token = tokenCanary })
		_, err := client.Find(t.Context(), 1, datasource.Query{})
		e, ok := errors.AsType[*datasource.Error](err)
		require.True(t, ok)
		assert.Equal(t, "m", e.Message)
		assert.Equal(t, want, string(e.Payload))
	}
}

func TestAScrubbedErrorStillAnswersErrorsIs(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause")
	client := through(t, func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("%s: %w", r.Header.Get("Auth-Token"), cause)
	}, func(cfg *datasource.Config) { cfg.Token, cfg.Retry.MaxAttempts = tokenCanary, 1 })
	_, err := client.Find(t.Context(), 1, datasource.Query{})
	require.ErrorIs(t, err, cause)
	assertNoSecret(t, err.Error(), "error")
}

func TestDebugLinesNameMethodPathStatusAndAttempt(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	client := serve(t, answer(503, ``), answer(200, `{"dataSource":{"id":1}}`)).client(t, func(cfg *datasource.Config) {
		cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	_, err := client.DataSourceByName(t.Context(), "a b")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 2)
	for i, line := range lines {
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &got))
		assert.Equal(t, []any{"DEBUG", "GET", "v1/data-sources/a%20b", float64([]int{503, 200}[i]), float64(i + 1)},
			[]any{got["level"], got["method"], got["path"], got["status"], got["attempt"]})
		assert.Contains(t, got, "duration")
	}
}
