package datasource_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// reference decodes one value with encoding/json and refuses text after it.
func reference(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("text after the value: %w", err)
	}
	return v, nil
}

func agree(t *testing.T, text []byte) {
	t.Helper()
	want, wantErr := reference(text)
	got, err := datasource.DecodeValue(text)
	if wantErr != nil {
		require.Error(t, err, "encoding/json refuses %q: %v", text, wantErr)
		require.Error(t, datasource.SkipValue(text), "%q", text)
		return
	}
	require.NoError(t, err, "%q", text)
	require.Equal(t, want, got, "%q", text)
	require.NoError(t, datasource.SkipValue(text), "%q", text)
}

var oddities = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `nulll`, `{}`, `[]`, `{"a":1}`, `[1,2]`, ` [ 1 , 2 ] `, "\t{\n\"a\" : [ ] }\r\n",
	`[1,]`, `[,1]`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `[1 2]`, `{"a":1 "b":2}`, `[`, `{`, `{"a"`, `{"a":`, `[1`, `]`, `}`, `[}`, `{]`,
	`0`, `-0`, `01`, `-`, `+1`, `1.`, `.5`, `1.5`, `1e5`, `1E+5`, `1e`, `1e+`, `-1.25e-300`, `123456789012345678901234567890`, `1.0`, `0x1`, `NaN`, `1a`,
	`"`, `""`, `"a`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\u123g"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\ude00\ud83d"`,
	`"\ud83d\ud83d\ude00"`, `"\ud83d\n"`, `"\ud83d\u12"`, `"\ufffd"`, `"\u0000"`, `"\/\b\f\n\r\t\\\""`, "\"\x01\"", "\"\n\"", "\"a\x7f\"", "\"\xff\"", "\"a\xc3\"",
	"\"\xc3\xa9\\n\xff\\u00e9\xe2\x82\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", `"é 日本 😀"`, "\"\u2028\"", "\ufeff1", "1\x00", "\x00",
	`{"a":1,"a":2}`, `{"a":{"b":1},"a":{"c":2}}`, `{"":0}`, `{"\u0061":1,"a":2}`, `[[[]]]`, `[{"a":[{"b":null}]}]`,
	strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
	strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001),
}

func TestDecoderAgreesWithEncodingJSONOnOddities(t *testing.T) {
	t.Parallel()
	for _, text := range oddities {
		agree(t, []byte(text))
	}
	// A special byte at every distance from the eight byte steps of the scanner.
	for n := range 20 {
		for _, c := range []string{`\"`, `\\`, "\x1f", "\x00", "é", "\xff", `"`, "\x7f", "\x80"} {
			agree(t, []byte(`"`+strings.Repeat("a", n)+c+strings.Repeat("b", 20-n)+`"`))
		}
	}
}

func TestDecoderAgreesWithEncodingJSONOnRandomValuesAndDamagedOnes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		text, err := json.Marshal(randomValue(r, 0))
		require.NoError(t, err)
		agree(t, text)
		for range 3 {
			damaged := bytes.Clone(text)
			damaged[r.IntN(len(damaged))] = byte(r.IntN(256))
			agree(t, damaged)
			agree(t, text[:r.IntN(len(text))])
		}
	}
}

func randomValue(r *rand.Rand, depth int) any {
	kind := r.IntN(9)
	if depth > 4 {
		kind = r.IntN(6)
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return r.Int64() - r.Int64()
	case 3:
		return r.NormFloat64() * float64(r.Int64())
	case 4, 5:
		const letters = "abc \"\\\n\t<>&\u2028é日😀\x00\x1f\x7f"
		runes := []rune(letters)
		var b strings.Builder
		for range r.IntN(60) {
			b.WriteRune(runes[r.IntN(len(runes))])
		}
		return b.String()
	case 6:
		list := make([]any, r.IntN(5))
		for i := range list {
			list[i] = randomValue(r, depth+1)
		}
		return list
	}
	m := map[string]any{}
	for range r.IntN(12) {
		m[fmt.Sprint(randomValue(r, 5))] = randomValue(r, depth+1)
	}
	return m
}

func FuzzDecoderAgreesWithEncodingJSON(f *testing.F) {
	for _, text := range oddities {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		agree(t, text)
		entries, deleted, err := datasource.DecodePage(text)
		if _, refErr := reference(text); refErr != nil && len(bytes.TrimSpace(text)) > 0 {
			require.Error(t, err)
		}
		_, _ = entries, deleted
	})
}

func ms(s string) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05.000Z", s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestPageIsReadInEveryDocumentedShape(t *testing.T) {
	t.Parallel()
	row := `{"id":42,"dataSourceId":123,"order":null,"data":{"Email":"jane@example.org","n":413923630123456789,"f":1.0},` +
		`"createdAt":"2026-01-10T09:00:00.000Z","updatedAt":"2026-01-10T09:00:00.123Z","deletedAt":null}`
	want := []datasource.Entry{{ID: 42, DataSourceID: 123,
		Data:      datasource.M{"Email": "jane@example.org", "n": json.Number("413923630123456789"), "f": json.Number("1.0")},
		CreatedAt: ms("2026-01-10T09:00:00.000Z"), UpdatedAt: ms("2026-01-10T09:00:00.123Z")}}
	for name, text := range map[string]string{
		"wrapped":         `{"entries":[` + row + `],"dataSourceId":123,"count":1}`,
		"bare array":      `[` + row + `]`,
		"other keys":      `{"source":"x","pagination":{"total":1},"entries":[` + row + `],"indexes":{"a":[1]}}`,
		"not only rows":   `[null,1,"x",[],` + row + `,true]`,
		"spaced":          "\n{ \"entries\" : [ " + row + " ] }\n",
		"in a null world": `{"deletedEntries":null,"pagination":null,"clientIds":null,"deleted":null,"entries":[` + row + `]}`,
	} {
		entries, deleted, err := datasource.DecodePage([]byte(text))
		require.NoError(t, err, name)
		assert.Equal(t, want, entries, name)
		assert.Empty(t, deleted, name)
	}
	for _, text := range []string{``, " \n", `null`, `{}`, `[]`, `{"entries":null}`, `{"entries":3}`, `{"entries":{"id":1}}`, `{"entries":[]}`} {
		entries, _, err := datasource.DecodePage([]byte(text))
		require.NoError(t, err, text)
		assert.Empty(t, entries, text)
	}
	for _, text := range []string{`<html>`, `{"entries":[`, `{"entries":[{"id":}]}`, `{"entries":[]}x`, `"ok"`, `3`, `true`} {
		_, _, err := datasource.DecodePage([]byte(text))
		assert.Error(t, err, text)
	}
}

func TestRowsWithMissingNullOrWrongFieldsBecomeZeroValues(t *testing.T) {
	t.Parallel()
	one := func(text string) datasource.Entry {
		t.Helper()
		entries, _, err := datasource.DecodePage([]byte("[" + text + "]"))
		require.NoError(t, err, text)
		require.Len(t, entries, 1, text)
		return entries[0]
	}
	assert.Equal(t, datasource.Entry{}, one(`{}`))
	for _, wrong := range []string{`null`, `true`, `"x"`, `[]`, `[1]`, `{}`, `{"a":1}`, `1.5`, `""`, `1e400`, `-`} {
		for _, field := range []string{"id", "dataSourceId", "data", "order", "createdAt", "updatedAt", "deletedAt"} {
			if wrong == `-` || field == "data" && wrong[0] == '{' {
				continue
			}
			e := one(`{"` + field + `":` + wrong + `}`)
			if field == "deletedAt" && wrong == `"x"` {
				require.NotNil(t, e.DeletedAt, "an unreadable date still says that the row is deleted")
				assert.True(t, e.DeletedAt.IsZero())
				e.DeletedAt = nil
			}
			assert.Equal(t, datasource.Entry{}, e, "%s %s", field, wrong)
		}
	}
	assert.Equal(t, datasource.Entry{ID: 42, DataSourceID: 7, Order: new(int64(-3))}, one(`{"id":"42","dataSourceId":"7","order":"-3"}`))
	assert.Equal(t, int64(9007199254740993), one(`{"id":9007199254740993}`).ID)
	assert.Equal(t, int64(1500), one(`{"id":1.5e3}`).ID)
	assert.Equal(t, int64(0), one(`{"id":9223372036854775808}`).ID)
	assert.Equal(t, datasource.M{}, one(`{"data":{}}`).Data)
	assert.Equal(t, "2026-02-01T08:06:00Z", one(`{"deletedAt":"2026-02-01T08:06:00.000Z"}`).DeletedAt.Format(time.RFC3339Nano))
	assert.Equal(t, datasource.M{"joins": datasource.M{"L": []any{json.Number("1")}}, "clientId": nil},
		one(`{"joins":{"L":[1]},"clientId":null}`).Extra)
	assert.Equal(t, "last", one(`{"data":{"a":"first"},"data":{"a":"last"}}`).Data["a"])
	assert.Equal(t, "é", one(`{"d\u0061ta":{"\u0061":"\u00e9"}}`).Data["a"])
}

func TestRowsOfOnePageShareNoMutableState(t *testing.T) {
	t.Parallel()
	text := []byte(`[{"id":1,"data":{"readBy":["u-jane"],"o":{}}},{"id":2,"data":{"readBy":["u-jane"],"o":{}}}]`)
	entries, _, err := datasource.DecodePage(text)
	require.NoError(t, err)
	entries[0].Data["readBy"].([]any)[0] = "changed"
	entries[0].Data["o"].(datasource.M)["k"] = 1
	clear(text)
	assert.Equal(t, datasource.M{"readBy": []any{"u-jane"}, "o": datasource.M{}}, entries[1].Data)
}

// The same rows once more, so that what is expected of a row after those before it is there.
func TestRowsAreReadHoweverTheirIDsAndTimesAreWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]datasource.Entry{
		`{"id":7,"createdAt":"2026-02-01T08:00:00.000Z","updatedAt":"2026-02-01T08:00:00.000Z"}`: {ID: 7, CreatedAt: at, UpdatedAt: at},
		`{"id":7,"createdAt":"2026-02-01T08:00:00.000Z","updatedAt":"2026-02-01T08:00:00.001Z"}`: {ID: 7, CreatedAt: at, UpdatedAt: at.Add(time.Millisecond)},
		`{"id":7,"createdAt":"\u0032026-02-01T08:00:00","updatedAt":"2026-02-01T08:00:00.000Z"}`: {ID: 7, CreatedAt: at, UpdatedAt: at},
		`{"id":7,"createdAt":"a text as long as a time","updatedAt":"a text as long as a time"}`: {ID: 7},
		`{"id":7,"createdAt":"2026-02-01T08:00:00Z","updatedAt":7}`:                              {ID: 7, CreatedAt: at},
		`{"updatedAt":"2026-02-01T08:00:00.000Z","id":7}`:                                        {ID: 7, UpdatedAt: at},
		`{ "id" : 7 , "dataSourceId" : 8 }`:                                                      {ID: 7, DataSourceID: 8},
		`{"id":"7","dataSourceId":8}`:                                                            {ID: 7, DataSourceID: 8},
		`{"\u0069d":7,"dataSourceId":8}`:                                                         {ID: 7, DataSourceID: 8},
		`{"id":7,"id":8}`:                                                                        {ID: 8},
		`{"id":7.0,"dataSourceId":8e2}`:                                                          {ID: 7, DataSourceID: 800},
		`{"id":-7}`:                                                                              {ID: -7},
		`{"id":0}`:                                                                               {},
		`{"id":123456789012345678}`:                                                              {ID: 123456789012345678},
		`{"id":1234567890123456789}`:                                                             {ID: 1234567890123456789},
		`{"id":12345678901234567890}`:                                                            {},
		`{"id":null,"dataSourceId":[8],"createdAt":null,"updatedAt":{"a":"2026-02-01T08:00:00.000Z"}}`: {},
	} {
		page := `[` + strings.Repeat(text+",", 3) + `{"data":{"a":1},"id":9},` + text + `]`
		entries, _, err := datasource.DecodePage([]byte(page))
		require.NoError(t, err, text)
		require.Len(t, entries, 5, text)
		for _, i := range []int{0, 1, 2, 4} {
			require.Equal(t, want, entries[i], "%s: row %d", text, i)
		}
	}
	for _, text := range []string{`{"id":01}`, `{"id":7x}`, `{"id":7`, `{"id":}`, `{"id":7,}`, `{,"id":7}`, `{"id":7,,"id":8}`, `{"id":7 8}`, `{"id":-}`, "{\"id\":7,\"createdAt\":\"\x00\"}"} {
		_, _, err := datasource.DecodePage([]byte(`[{"id":1},{"id":2},` + text + `]`))
		require.Error(t, err, text)
	}
}

func TestTimestampsOfEveryPrecisionAreRead(t *testing.T) {
	t.Parallel()
	base := time.Date(2024, 2, 29, 23, 59, 58, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2024-02-29T23:59:58.123Z":       base.Add(123 * time.Millisecond),
		"2024-02-29T23:59:58Z":           base,
		"2024-02-29T23:59:58.5Z":         base.Add(500 * time.Millisecond),
		"2024-02-29T23:59:58.123456Z":    base.Add(123456 * time.Microsecond),
		"2024-02-29T23:59:58.123456789Z": base.Add(123456789),
		"2024-03-01T01:59:58.000+02:00":  base,
		"2024-02-29T23:59:58.000":        base,
		"2024-02-29 23:59:58Z":           base,
		"2024-02-29":                     base.Truncate(24 * time.Hour),
		"2023-02-29T23:59:58.123Z":       {},
		"2024-13-01T00:00:00.000Z":       {},
		"2024-00-01T00:00:00.000Z":       {},
		"2024-01-00T00:00:00.000Z":       {},
		"2024-01-01T24:00:00.000Z":       {},
		"2024-01-01T00:60:00.000Z":       {},
		"2024-01-01T00:00:60.000Z":       {},
		"2024-01-01T00:00:00.0x0Z":       {},
		"2024-01-01T00:00:00.00:Z":       {},
		"20x4-01-01T00:00:00.000Z":       {},
		"yesterday":                      {},
		"":                               {},
	} {
		got := datasource.ReadTimestamp([]byte(text))
		assert.Equal(t, want, got, text)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		want := time.UnixMilli(r.Int64N(253402300800000)).UTC() // any millisecond until the year 9999
		assert.Equal(t, want, datasource.ReadTimestamp([]byte(want.Format("2006-01-02T15:04:05.000Z"))))
	}
}
