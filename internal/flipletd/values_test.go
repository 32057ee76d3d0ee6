package flipletd_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnyValueSurvivesTheRoundTrip stores random JSON and reads it back.
func TestAnyValueSurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("ab\"\\/\b\f\n\r\t\x00\x1f\x7f<>&é漢🎉\u2028\u2029\uFFFD{}[],:")
	text := func() string {
		var b strings.Builder
		for range r.IntN(8) {
			b.WriteRune(alphabet[r.IntN(len(alphabet))])
		}
		return b.String()
	}
	var value func(depth int) any
	value = func(depth int) any {
		switch n := r.IntN(8); {
		case n == 0:
			return nil
		case n == 1:
			return r.IntN(2) == 0
		case n == 2:
			return json.Number([]string{"0", "-0", "1.50", "9007199254740993", "1e400", "-1E-7", "123456789012345678901234567890"}[r.IntN(7)])
		case n < 5 || depth == 0:
			return text()
		case n < 7:
			list := make([]any, r.IntN(4))
			for i := range list {
				list[i] = value(depth - 1)
			}
			return list
		}
		object := map[string]any{}
		for range r.IntN(4) {
			object[text()] = value(depth - 1)
		}
		return object
	}
	for range 500 {
		data := map[string]any{"a": value(4), "b": value(2)}
		body, err := json.Marshal(data)
		require.NoError(t, err)
		answer := k.do("PUT", "/v1/data-sources/101/data", string(body))
		require.Equal(t, 200, answer.status, answer.body)
		dec := json.NewDecoder(strings.NewReader(answer.body))
		dec.UseNumber()
		var got struct{ Data map[string]any }
		require.NoError(t, dec.Decode(&got), answer.body)
		require.Equal(t, data, got.Data)
	}
	rows := k.Rows(101)
	require.Len(t, rows, 500)
}

func TestLoneSurrogatesBecomeTheReplacementCharacter(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	assert.Equal(t, m{"a": "x\uFFFDy"}, k.do("PUT", "/v1/data-sources/101/data", `{"a":"x\ud800y"}`).ok(200)["data"])
}

func TestTheLastOfRepeatedKeysCounts(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	assert.Equal(t, m{"a": 2.0}, k.do("PUT", "/v1/data-sources/101/data", `{"a":1,"a":2}`).ok(200)["data"])
}

func TestWholeNumbersAreIDsHoweverWritten(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"entries": []any{m{"n": 1}}})
	for id, found := range map[string]bool{"5001": true, `"5001"`: true, "5001.0": true, "5.001e3": true, "5001.5": false, `"x"`: false, "1e300": false, "true": false} {
		a := k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"returnEntries":false,"entries":[{"id":`+id+`,"data":{"n":`+fmt.Sprintf("%q", id)+`}}]}`)
		if found {
			a.ok(200)
			assert.Equal(t, id, k.Rows(101)[0].Data["n"])
		} else {
			a.refused(400)
		}
	}
}

func TestFlagsAreWhatJavaScriptCallsTrue(t *testing.T) {
	t.Parallel()
	for flag, kept := range map[string]bool{
		"true": true, `"true"`: true, "1": true, `"1"`: true, "{}": true, `"yes"`: true,
		"false": false, `"false"`: false, "0": false, `"0"`: false, `""`: false, "null": false, "0.0": false,
	} {
		k := start(t)
		source := k.source(m{"entries": []any{m{"n": 1}}})
		k.do("POST", "/v1/data-sources/101/commit", `{"entries":[],"append":`+flag+`}`).ok(200)
		assert.Equal(t, kept, len(k.live(source)) == 1, flag)
	}
}

func TestSumsAreWrittenAsJavaScriptWould(t *testing.T) {
	t.Parallel()
	for numbers, want := range map[string]string{
		`1e20,0`: "100000000000000000000", `1e21,0`: "1e+21", `1e-7,0`: "1e-7", `0.1,0.2`: "0.30000000000000004", `1e308,1e308`: "null", `-5,5`: "0",
	} {
		k := start(t)
		k.source(m{})
		a, b, _ := strings.Cut(numbers, ",")
		k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"n":`+a+`},{"n":`+b+`}]}`)
		got := k.do("POST", "/v1/data-sources/101/data/query", `{"aggregate":[{"$group":{"_id":null,"s":{"$sum":"$data.n"}}}]}`)
		assert.Contains(t, got.body, `"s":`+want+`}`, numbers)
	}
}

// TestKeysetFormsGiveTheSamePage asks for one page in every spelling that the
// shortcut knows and in some that it must leave alone.
func TestKeysetFormsGiveTheSamePage(t *testing.T) {
	t.Parallel()
	k := talk(t)
	for range 10 {
		k.put(102, m{"n": 1}, m{"n": 2})
	}
	const later, tied = `{"updatedAt":{"$gt":"2026-02-01T08:00:00.123Z"}}`, `{"updatedAt":"2026-02-01T08:00:00.123Z","id":{"$gt":5010}}`
	ask := func(where string) []int64 {
		return k.across(`{"flUserToken":"ta","limit":3,"order":[["updatedAt","ASC"],["id","ASC"]],"where":` + where + `}`).ids()
	}
	for _, where := range []string{
		`{"$or":[` + later + `,` + tied + `]}`, `{"$or":[` + tied + `,` + later + `]}`,
		`{"$or":[` + later + `,{"updatedAt":{"$eq":"2026-02-01T08:00:00.123Z"},"id":{"$gt":"5010"}}]}`,
		`{"$and":[{"dataSourceId":{"$in":[102]}},{"$or":[` + later + `,` + tied + `]}]}`,
		`{"dataSourceId":{"$in":[102]},"$or":[` + later + `,` + tied + `]}`,
		`{"$or":[` + later + `,{"updatedAt":"2026-02-01T08:00:00.123Z","id":{"$gte":5011}}]}`,
		`{"$or":{"updatedAt":{"$gt":"2026-02-01T08:00:00.123Z"},"id":{"$gt":5010}}}`,
	} {
		assert.Equal(t, []int64{5011, 5012, 5013}, ask(where), where)
	}
	assert.Equal(t, []int64{5005, 5006, 5007}, ask(`{"$or":[`+later+`,{"id":{"$gt":1}}]}`))
	assert.Equal(t, []int64{5005, 5006, 5007}, ask(`{"$or":[`+later+`,`+tied+`,{"id":{"$gt":1}}]}`), "a third alternative lets more in")
	assert.Equal(t, []int64{5005, 5006, 5007}, ask(`{"$not":{"$or":[`+later+`,{"updatedAt":"2026-02-01T08:00:00.123Z","id":{"$gt":5010}}]}}`))
}
