package datasource_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// The values that requests of these tests hold, of every kind.
var sentValues = map[string]string{
	"token":    "eu--T0ken/with+signs=9f8e7d",
	"body":     "Meet me at the \"pier\" <b>now</b> & bring 50% ünï\u2028",
	"password": "hunter2",
	"pin":      "4711",
	"key":      "k3y-0f.a_c0nversation",
	"chinese":  "会议在码头的尽头举行",
	"emoji":    "🙂🙃🙂🙃",
	"number":   "9007199254740993",
}

// encodings are the ways in which a server may repeat a text.
var encodings = map[string]func(string) string{
	"plain":         func(s string) string { return s },
	"upper case":    strings.ToUpper,
	"lower case":    strings.ToLower,
	"query":         url.QueryEscape,
	"path":          url.PathEscape,
	"query twice":   func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"every percent": func(s string) string { return each(s, "%%%02X") },
	"lower percent": func(s string) string { return each(s, "%%%02x") },
	"hex":           func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":           func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex, odd":      func(s string) string { return "a" + hex.EncodeToString([]byte(s)) },
	"hex, spaced":   func(s string) string { return fmt.Sprintf("% x", s) },
	"hex, colons":   func(s string) string { return strings.ReplaceAll(fmt.Sprintf("% x", s), " ", ":") },
	"hex, 0x":       func(s string) string { return fmt.Sprintf("%# x", s) },
	"Go bytes":      func(s string) string { return fmt.Sprintf("%#v", []byte(s)) },
	"byte list":     func(s string) string { return fmt.Sprint([]byte(s)) },
	"JS byte list":  func(s string) string { return strings.ReplaceAll(fmt.Sprint([]byte(s)), " ", ",") },
	"base64":        func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 url":    func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"base64, 1":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x " + s + " x")) },
	"base64, 2":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte("yy " + s + " yy")) },
	"base64 twice": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
	},
	"base64 of hex": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString([]byte(s))))
	},
	"base32":        func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) },
	"base32, 3":     func(s string) string { return base32.StdEncoding.EncodeToString([]byte("id " + s + " !")) },
	"UTF-16 in hex": func(s string) string { return utf16Hex(s) },
	"hex of URL":    func(s string) string { return hex.EncodeToString([]byte(url.QueryEscape(s))) },
	"base64 in URL": func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
	"quoted":        strconv.Quote,
	"quoted ASCII":  strconv.QuoteToASCII,
	"JSON": func(s string) string {
		raw, _ := json.Marshal(s)
		return string(raw)
	},
	"JSON twice": func(s string) string {
		raw, _ := json.Marshal(s)
		raw, _ = json.Marshal(string(raw))
		return string(raw)
	},
	"JavaScript": func(s string) string {
		var b strings.Builder
		for _, c := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		return b.String()
	},
	"HTML":          html.EscapeString,
	"HTML, decimal": func(s string) string { return eachRune(s, "&#%d;") },
	"HTML, hex":     func(s string) string { return eachRune(s, "&#x%X;") },
	"typed array": func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, `"%d":%d,`, i, s[i])
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	},
	"wide":         func(s string) string { return inLetters(s, 'Ａ', 'ａ', '０') },
	"mathematical": func(s string) string { return inLetters(s, '𝐀', '𝐚', '𝟎') },
	"sans-serif":   func(s string) string { return inLetters(s, '𝖠', '𝖺', '𝟢') },
	"circled":      func(s string) string { return inLetters(s, 'Ⓐ', 'ⓐ', '0') },
	"hyphens":      func(s string) string { return strings.Join(strings.Split(s, ""), "-") },
	"zero width":   func(s string) string { return strings.Join(strings.Split(s, ""), "\u200b") },
	"a part": func(s string) string {
		r := []rune(s)
		return string(r[len(r)/4:])
	},
}

// inLetters writes the letters and digits of a text in those of another alphabet.
func inLetters(s string, upper, lower, zero rune) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return upper + r - 'A'
		case 'a' <= r && r <= 'z':
			return lower + r - 'a'
		case '0' <= r && r <= '9':
			return zero + r - '0'
		}
		return r
	}, s)
}

func utf16Hex(s string) string {
	var b strings.Builder
	for _, c := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%02x%02x", c&0xFF, c>>8)
	}
	return b.String()
}

func each(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

func eachRune(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// sayAll makes requests with the values in every place of a request that can hold them, and returns their errors.
func sayAll(t *testing.T, answer roundTrip) []error { return say(t, answer, false) }

// say makes all of the requests, or the first one only.
func say(t *testing.T, answer roundTrip, one bool) []error {
	t.Helper()
	client := through(t, answer, func(cfg *datasource.Config) {
		cfg.Token = sentValues["token"]
		cfg.Retry = datasource.RetryPolicy{MaxAttempts: 1, BaseDelay: 1, MaxWait: 1}
	})
	ctx := t.Context()
	data := M{}
	query := url.Values{}
	for name, v := range sentValues {
		data[name] = v
		query.Set(name, v)
	}
	data["number"] = json.Number(sentValues["number"])
	nested := M{"$or": []any{M{"a": []string{"x"}}, M{"b": M{"$in": []any{data}}}}}
	asText, err := json.Marshal(data)
	require.NoError(t, err)
	var errs []error
	_, err = client.Insert(ctx, 1, data)
	errs = append(errs, err)
	if one {
		return errs
	}
	_, err = client.Find(ctx, 1, datasource.Query{Where: nested})
	errs = append(errs, err)
	_, err = client.InsertEntry(ctx, 1, datasource.Write{Data: M{"all": data}, Files: []datasource.Part{{Field: "f", Filename: "f.txt", Content: asText}}})
	errs = append(errs, err)
	var named []datasource.Part
	for name, v := range sentValues {
		named = append(named, datasource.Part{Field: name, Filename: v, Content: []byte(v)})
	}
	_, err = client.InsertEntry(ctx, 1, datasource.Write{Files: named, Data: M{"number": json.Number(sentValues["number"])}})
	errs = append(errs, err)
	_, err = client.InsertEntry(ctx, 1, datasource.Write{Data: M{}, Params: query})
	errs = append(errs, err)
	_, err = client.DataSources(ctx, datasource.SourceFilter{AppID: 1, Definition: nested})
	errs = append(errs, err)
	_, err = client.FindAcross(ctx, asText, nil)
	errs = append(errs, err)
	errs = append(errs, client.Call(ctx, http.MethodPost, "v1/x", nil, query, nil))
	_, err = client.UpdateDataSource(ctx, 1, datasource.SourcePatch{Definition: asText})
	return append(errs, err)
}

// surfaces are all texts that an error shows.
func surfaces(err error) string {
	var b strings.Builder
	for _, e := range chain(err) {
		fmt.Fprintf(&b, "%v\n%+v\n%#v\n", e, e, e)
		if raw, err := json.Marshal(e); err == nil {
			b.Write(raw)
		}
	}
	if e, ok := errors.AsType[*datasource.Error](err); ok {
		fmt.Fprintf(&b, "%s\n%s\n%s\n%s\n%s\n", e.Message, e.Code, e.Type, e.ReferenceURL, e.Payload)
	}
	return b.String()
}

func TestAnErrorRepeatsNoValueOfTheRequestInTheUsualEncodings(t *testing.T) {
	t.Parallel()
	for name, value := range sentValues {
		for coding, encode := range encodings {
			if name == "pin" && (coding == "a part" || strings.HasPrefix(coding, "hex, odd")) || name == "password" && coding == "a part" || name == "emoji" && coding == "a part" {
				continue // three letters of a word are not the word
			}
			if coding == "UTF-16 in hex" && (name == "chinese" || name == "emoji") {
				continue // not a usual one
			}
			said := encode(value)
			t.Run(name+"/"+coding, func(t *testing.T) {
				t.Parallel()
				text, err := json.Marshal("before " + said + " after")
				require.NoError(t, err)
				for where, body := range map[string]string{
					"message": `{"message":` + string(text) + `}`, "error": `{"error":` + string(text) + `}`, "type": `{"type":` + string(text) + `}`,
					"nested": `{"error":{"message":` + string(text) + `,"code":` + string(text) + `}}`, "reference": `{"referenceUrl":` + string(text) + `}`,
					"payload": `{"payload":{"a":[` + string(text) + `],` + string(text) + `:1,"keep":"this"}}`, "plain": "before " + said + " after",
				} {
					if !longtest.Enabled() && !slices.Contains([]string{"message", "payload", "plain"}, where) {
						continue // the other fields are read by the same code
					}
					for i, err := range say(t, func(r *http.Request) (*http.Response, error) { return respond(r, 422, body), nil }, where != "message") {
						require.Error(t, err)
						if where == "plain" && strings.ContainsAny(said, "\n") {
							continue
						}
						got := surfaces(err)
						assertAbsent(t, got, said, fmt.Sprintf("%s, call %d", where, i))
						if where == "payload" {
							e, ok := errors.AsType[*datasource.Error](err)
							require.True(t, ok)
							assert.True(t, len(e.Payload) == 0 || json.Valid(e.Payload), "%s", e.Payload)
						}
					}
				}
				for i, err := range sayAll(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("proxy: " + said) }) {
					assertAbsent(t, surfaces(err), said, fmt.Sprintf("transport, call %d", i))
				}
			})
		}
	}
}

func TestAnErrorRepeatsNoNumberAndNoNameInsideAValue(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		sent any
		said string
	}{
		"four digits":          {4815, "4815"},
		"five digits":          {48151, "48151"},
		"negative":             {-48151, "-48151"},
		"a fraction":           {48.15, "48.15"},
		"an exponent":          {json.Number("4.815e3"), "4.815e3"},
		"a name":               {M{"jane.doe@example.com": 1}, "jane.doe@example.com"},
		"a plain name":         {M{"janedoe": true}, "janedoe"},
		"a name further in":    {[]any{M{"a": M{"Jane Doe": nil}}}, "Jane Doe"},
		"a name in JSON":       {`{"janedoe":{"b":1}}`, "janedoe"},
		"a name in base64":     {M{"janedoe": 1}, base64.StdEncoding.EncodeToString([]byte("janedoe"))},
		"below a name like it": {M{"data": M{"janedoe": 1}}, "janedoe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := func(r *http.Request) (*http.Response, error) {
				raw, err := json.Marshal("value (" + is.said + ") is not allowed")
				return respond(r, 400, `{"message":`+string(raw)+`,"payload":[`+string(raw)+`]}`), err
			}
			c := through(t, answer)
			_, inserted := c.Insert(t.Context(), 1, M{"v": is.sent})
			_, found := c.Find(t.Context(), 1, datasource.Query{Where: M{"$and": []any{M{"v": M{"$in": []any{is.sent}}}}}})
			_, committed := c.Commit(t.Context(), 1, datasource.Commit{Entries: []datasource.CommitEntry{{Data: M{"v": is.sent}}}})
			_, asForm := c.InsertEntry(t.Context(), 1, datasource.Write{Data: M{"v": is.sent}, Files: []datasource.Part{{Field: "f", Filename: "a", Content: []byte("x")}}})
			for i, err := range []error{inserted, found, committed, asForm} {
				require.Error(t, err)
				assertAbsent(t, surfaces(err), is.said, fmt.Sprint("call ", i))
			}
		})
	}
}

func TestAnErrorKeepsTheNamesOfColumns(t *testing.T) {
	t.Parallel()
	const message = `columns "Full name", "participants" and "address" do not exist`
	c := through(t, func(r *http.Request) (*http.Response, error) {
		return respond(r, 400, `{"message":`+strconv.Quote(message)+`}`), nil
	})
	columns := M{"Full name": "x", "participants": 1, "address": M{"city": "y"}}
	_, inserted := c.Insert(t.Context(), 1, columns)
	_, found := c.Find(t.Context(), 1, datasource.Query{Where: M{"$or": []any{columns, M{"address": M{"$in": []any{"z"}}}}}})
	_, committed := c.Commit(t.Context(), 1, datasource.Commit{Entries: []datasource.CommitEntry{{Data: columns}}})
	raw, err := json.Marshal(columns)
	require.NoError(t, err)
	_, patched := c.UpdateDataSource(t.Context(), 1, datasource.SourcePatch{Definition: raw})
	for _, err := range []error{inserted, found, committed, patched} {
		require.ErrorContains(t, err, message)
	}
}

// assertAbsent looks for a text, also as JSON and %#v write it.
func assertAbsent(t *testing.T, shown, said, where string) {
	t.Helper()
	raw, _ := json.Marshal(said)
	for _, form := range []string{said, string(raw[1 : len(raw)-1]), strings.Trim(strconv.Quote(said), `"`)} {
		require.NotContains(t, shown, form, where)
	}
}

func TestAnErrorKeepsWhatTheServerSaysOfItsOwn(t *testing.T) {
	t.Parallel()
	const message = `The security rules for the Data Source "Employees" do not allow this app to read data. Ask 200 requests less (see 4.2)`
	for _, err := range sayAll(t, func(r *http.Request) (*http.Response, error) {
		return respond(r, 400, `{"message":`+strconv.Quote(message)+`,"type":"datasource.access","payload":{"dataSourceId":123, "n":1.0}}`), nil
	}) {
		e, ok := errors.AsType[*datasource.Error](err)
		require.True(t, ok)
		assert.Equal(t, message, e.Message)
		assert.Equal(t, "datasource.access", e.Type)
		assert.Equal(t, `{"dataSourceId":123, "n":1.0}`, string(e.Payload))
		assert.ErrorIs(t, err, datasource.ErrAccessDenied)
	}
}

func TestARefusalIsToldFromOthersThoughTheRequestHasItsWords(t *testing.T) {
	t.Parallel()
	client := through(t, func(r *http.Request) (*http.Response, error) {
		return respond(r, 400, `{"message":"no","type":"datasource.access"}`), nil
	})
	_, err := client.Insert(t.Context(), 1, M{"body": "datasource.access"})
	require.ErrorIs(t, err, datasource.ErrAccessDenied)
}

func TestARedirectToAHostNamedAfterTheRequestIsNotRepeated(t *testing.T) {
	t.Parallel()
	client := through(t, func(r *http.Request) (*http.Response, error) {
		return respond(r, 307, ``, "Location", "https://meetmeatthepier.evil.example/"), nil
	})
	_, err := client.Insert(t.Context(), 1, M{"body": "Meet me at the pier"})
	require.ErrorContains(t, err, "redirects to")
	assert.NotContains(t, err.Error(), "pier")
}

func TestAnAnswerMadeToCostTimeIsDropped(t *testing.T) { // not parallel: it measures what the process computes
	hostile := strings.Repeat("%2541ffeeddccbbaa", 1000)
	client := through(t, func(r *http.Request) (*http.Response, error) {
		return respond(r, 400, `{"message":"`+hostile+`","payload":["`+hostile[:15000]+`"]}`), nil
	})
	began := cpuTime()
	_, err := client.Insert(t.Context(), 1, M{"body": strings.Repeat("Meet me at the pier ", 50_000)})
	require.Error(t, err)
	assert.Less(t, cpuTime()-began, 5*time.Second)
}

func TestTextsOfTheServerCannotTurnOrHideWhatIsPrinted(t *testing.T) {
	t.Parallel()
	for name, evil := range map[string]string{
		"colour": "\x1b[31mred\x1b[0m", "title": "\x1b]0;title\x07x", "link": "\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\", "C1": "\u009b31mred\u0085\u008d", "erase": "a\b\b\bb\x7f",
		"lines": "a\r\nfake log line\u2028\u2029b", "bidi": "\u202eevil\u202c\u2066x\u2069\u200f\u061c", "zero width": "a\u200b\u200c\u200d\u2060\ufeffb", "tags": "a\U000e0041b", "soft": "a\u00adb\u034f\u115f\u3164",
		"variants": "a\ufe0f\U000e0100", "private": "\ue000", "invalid": "a\xff\xfe\x9bb", "reset": "\x1bc\x1b(0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal("before " + evil + " after")
			require.NoError(t, err)
			var log strings.Builder
			for _, rt := range []roundTrip{
				func(r *http.Request) (*http.Response, error) {
					return respond(r, 400, `{"message":`+string(text)+`,"error":`+string(text)+`,"type":`+string(text)+`,"referenceUrl":`+string(text)+`,"payload":{"a":"`+strings.Map(noASCIIControl, evil)+`"}}`), nil
				},
				func(r *http.Request) (*http.Response, error) {
					return respond(r, 400, `{"message":"x","payload":{"a":"`+escaped(evil)+`","`+escaped(evil)+`":1}}`), nil
				},
				func(r *http.Request) (*http.Response, error) { return respond(r, 500, "before "+evil+" after"), nil },
				func(*http.Request) (*http.Response, error) { return nil, errors.New("before " + evil + " after") },
			} {
				client := through(t, rt, func(cfg *datasource.Config) { cfg.Logger, cfg.Retry.MaxAttempts = textLogger(&log), 1 })
				_, err = client.Insert(t.Context(), 1, M{"x": "y"})
				require.Error(t, err)
				shown := strings.ReplaceAll(err.Error(), "after", "")
				if e, ok := errors.AsType[*datasource.Error](err); ok {
					shown += e.Message + e.Code + e.Type + e.ReferenceURL
					assertVisible(t, string(e.Payload))
					var inside M
					if len(e.Payload) > 0 {
						require.NoError(t, json.Unmarshal(e.Payload, &inside))
					}
					for name, v := range inside {
						assertVisible(t, fmt.Sprint(name, v))
					}
				}
				assertHarmless(t, shown)
			}
			assertHarmless(t, strings.ReplaceAll(log.String(), "\n", ""))
		})
	}
}

// escaped writes each character as an escape of JSON.
func escaped(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(strings.ToValidUTF8(s, ""))) {
		fmt.Fprintf(&b, `\u%04x`, u)
	}
	return b.String()
}

func TestThePayloadOfAnErrorKeepsHarmlessEscapes(t *testing.T) {
	t.Parallel()
	const payload = `{"a":"\u0041 \"quoted\" \\u202e \/ \ud83d\ude42 é"}`
	c := through(t, func(r *http.Request) (*http.Response, error) {
		return respond(r, 400, `{"message":"no","payload":`+payload+`}`), nil
	})
	_, err := c.Insert(t.Context(), 1, M{"x": "y"})
	e, ok := errors.AsType[*datasource.Error](err)
	require.True(t, ok)
	assert.Equal(t, payload, string(e.Payload))
}

func noASCIIControl(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

func assertHarmless(t *testing.T, text string) {
	t.Helper()
	assert.NotContains(t, text, "31mred")
	assert.NotContains(t, text, "evil.example")
	assertVisible(t, text)
}

func assertVisible(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		assert.True(t, r == ' ' || unicode.IsGraphic(r) && !unicode.In(r, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point), "%U in %q", r, text)
	}
}

func textLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
