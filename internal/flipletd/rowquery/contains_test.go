package rowquery_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

func TestContains(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, doc, filter string
		want              bool
	}{
		{"a missing key is not null", `{"a":1}`, `{"b":null}`, false},
		{"null contains null", `{"a":null}`, `{"a":null}`, true},
		{"an array holds a bare scalar at the top", `["a",1]`, `1.0`, true},
		{"an array holds no bare scalar below", `{"k":["a"]}`, `{"k":"a"}`, false},
		{"an array in an array holds no bare scalar", `[["a"]]`, `["a"]`, false},
		{"a scalar holds no array", `"a"`, `["a"]`, false},
		{"an array holds no bare object", `[{"a":1}]`, `{"a":1}`, false},
		{"repeats do not count", `[1]`, `[1,1.0,1e0]`, true},
		{"one element serves two", `[{"a":1,"b":2}]`, `[{"a":1},{"b":2}]`, true},
		{"two elements do not serve one", `[{"a":1},{"b":2}]`, `[{"a":1,"b":2}]`, false},
		{"empty object in any object", `{"a":1}`, `{}`, true},
		{"empty object in no array", `[]`, `{}`, false},
		{"empty array in any array", `[1]`, `[]`, true},
		{"empty array in no object", `{}`, `[]`, false},
		{"numbers are exact", `[0.30000000000000004]`, `[0.3]`, false},
		{"numbers of any size", `[1e40]`, `[10000000000000000000000000000000000000000]`, true},
		{"small numbers", `[0.00010]`, `[1e-4]`, true},
		{"signs", `[-1.5]`, `[1.5]`, false},
		{"no negative zero", `[-0.0]`, `[0]`, true},
		{"last key wins in the document", `{"a":{"x":1},"a":{"y":2}}`, `{"a":{"x":1}}`, false},
		{"last key wins in the filter", `{"a":2}`, `{"a":1,"\u0061":2}`, true},
		{"surrogates are one character", `["\uD83D\udc4D\\u0000"]`, `["👍\\u0000"]`, true},
		{"text is not folded or normalised", `["e\u0301"]`, `["é"]`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := rowquery.ContainsRaw(json.RawMessage(test.doc), json.RawMessage(test.filter))
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestContainsRawRefusesWhatJsonbCannotHold(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		``:                     "not valid JSON",
		`{"a":}`:               "not valid JSON",
		`01`:                   "more than one",
		`1 2`:                  "more than one",
		`{} x`:                 "more than one",
		"\"\xff\"":             "UTF-8",
		`"\u0000"`:             `\u0000`,
		`{"a\u0000":1}`:        `\u0000`,
		`"\ud83d"`:             "surrogate",
		`"\ud83dx"`:            "surrogate",
		`"\ud83d\n"`:           "surrogate",
		`"\ud83d\u0041"`:       "surrogate",
		`"\uDC4D"`:             "surrogate",
		`1e131072`:             "numeric",
		`[{"a":1e-16384}]`:     "numeric",
		`0e99999999999999999`:  "numeric",
		`-1e-9999999999999999`: "numeric",
		strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000): "not valid JSON",
	} {
		_, err := rowquery.ContainsRaw(json.RawMessage(text), json.RawMessage(`{}`))
		require.ErrorContains(t, err, "document: ")
		assert.ErrorContains(t, err, reason)
		_, err = rowquery.ContainsRaw(json.RawMessage(`{}`), json.RawMessage(text))
		assert.ErrorContains(t, err, "filter: ")
	}
	for _, text := range []string{`1e131071`, `1e-16383`, `0e131075`, `"\\u0000"`, `"\\\\ud83d"`} {
		_, err := rowquery.ContainsRaw(json.RawMessage(text), json.RawMessage(text))
		assert.NoError(t, err, text)
	}
}

func TestContainsTakesValuesThatAreNoJSONForUnequal(t *testing.T) {
	t.Parallel()
	for _, v := range []any{1, 1.5, struct{}{}, json.Number("x"), json.Number("")} {
		assert.False(t, rowquery.Contains([]any{v}, []any{json.Number("1")}))
		assert.False(t, rowquery.Contains(json.Number("1"), v))
		assert.False(t, rowquery.Contains(map[string]any{"a": v}, map[string]any{"a": nil}))
	}
}

func TestDocumentEqualityIsExact(t *testing.T) {
	t.Parallel()
	row := message(t, `{"a":[1,{"b":null}],"c":"x"}`)
	for operand, want := range map[string]bool{
		`{"c":"x","a":[1.0,{"b":null}]}`:         true,
		`{"c":"x","a":[1]}`:                      false,
		`{"c":"x","a":[{"b":null},1]}`:           false,
		`{"c":"x","a":[1,{"b":null}],"d":null}`:  false,
		`{"c":"x","a":[1,{"z":null}]}`:           false,
		`{"c":"x","a":[1,{"b":[]}]}`:             false,
		`{"c":{},"a":[1,{"b":null}]}`:            false,
		`{"c":"x","a":{"0":1,"1":{"b":null}}}`:   false,
		`["a"]`:                                  false,
		`"x"`:                                    false,
		`{"c":"x","a":[1,{"b":null}],"a":[1,2]}`: false,
	} {
		for where, want := range map[string]bool{
			`{"data":{"$eq":` + operand + `}}`:           want,
			`{"data":{"$ne":` + operand + `}}`:           !want,
			`{"data":{"$in":[5,` + operand + `]}}`:       want,
			`{"data":{"$notIn":[5,` + operand + `]}}`:    !want,
			`{"data":{"$in":[null,` + operand + `]}}`:    want,
			`{"data":{"$not":[null,` + operand + `]}}`:   false,
			`{"$not":{"data":{"$not":` + operand + `}}}`: want,
		} {
			if strings.HasPrefix(operand, "[") && strings.Contains(where, `"$not":`+operand) {
				continue // a list under $not is NOT IN
			}
			got, err := compile(t, where).Match(row)
			require.NoError(t, err, where)
			assert.Equal(t, want, got, where)
		}
	}
}
