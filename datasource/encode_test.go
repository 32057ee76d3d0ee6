package datasource_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// plainJSON is what encoding/json writes without its escapes for HTML.
func plainJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(v))
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func TestBodiesAreWrittenAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		v := randomValue(r, 0)
		got, err := datasource.EncodeValue(v)
		require.NoError(t, err)
		require.Equal(t, plainJSON(t, v), string(got))
		back, err := datasource.DecodeValue(got)
		require.NoError(t, err)
		again, err := datasource.EncodeValue(back)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again), "what was read is written as it was")
	}
	for _, v := range []any{
		nil, "\x00\x1f\x7f\u2028\u2029 é<&>", M(nil), []any(nil), []string(nil), []M(nil), M{}, []any{}, []string{"a\n"}, []M{{"b": 1, "a": nil}, nil},
		int8(-3), uint64(math.MaxUint64), int64(math.MinInt64), 1.5, float32(0.1), 1e21, json.Number(""), json.Number("1.0"), json.Number("-1E+5"), time.Date(2026, 2, 1, 8, 2, 0, 123e6, time.UTC),
		[]int64{1}, map[string]int{"b": 1, "a": 2}, struct{ A int }{1}, new("p"), [2]bool{true}, json.RawMessage(`{"a":1.0}`), []byte("bytes"),
	} {
		got, err := datasource.EncodeValue(v)
		require.NoError(t, err)
		assert.JSONEq(t, plainJSON(t, v), string(got))
		if _, raw := v.(json.RawMessage); !raw {
			assert.Equal(t, plainJSON(t, v), string(got))
		}
	}
}

func TestBytesThatAreNotTextAreReplacedWhenWritten(t *testing.T) {
	t.Parallel()
	got, err := datasource.EncodeValue("a\xff é\xed\xa0\x80")
	require.NoError(t, err)
	assert.Equal(t, `"a\ufffd é\ufffd\ufffd\ufffd"`, string(got))
}

func TestWhatIsNotJSONIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	loop := M{}
	loop["self"] = []any{loop}
	for want, v := range map[string]any{
		`"a": [1]: func()`:                   M{"a": []any{1, func() {}}},
		`float64 cannot be written as JSON`:  math.NaN(),
		`a json.Number that is not a number`: json.Number("1x"),
		`that is not a number`:               json.Number("secret"),
		`inside itself`:                      loop,
	} {
		_, err := datasource.EncodeValue(v)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "secret")
		assert.Less(t, len(err.Error()), 1000)
	}
}

func TestParametersAreWrittenLikeThoseOfNetURL(t *testing.T) {
	t.Parallel()
	for _, params := range []url.Values{nil, {}, {"a": nil}, {"a b&": {"c=d é"}}, {"a": {"1", "2"}}, {"b": {"1"}, "a": {"2"}}, {"": {""}}} {
		query, whole := datasource.Located("https://a.example/b", "v1/x", params)
		assert.Equal(t, params.Encode(), query, "%v", params)
		if whole != "" {
			assert.Equal(t, "https://a.example/b/v1/x?"+query, whole)
		}
	}
}
