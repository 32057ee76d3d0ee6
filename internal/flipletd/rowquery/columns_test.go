package rowquery_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

func TestWholeNumbersCompareExactlyWithDecimals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value   int64
		operand string
		order   int // of value against operand
	}{
		{5, `5`, 0}, {5, `5.0`, 0}, {5, `0.5e1`, 0}, {5, `500e-2`, 0}, {5, `" 5\n"`, 0}, {5, `"+5"`, 0},
		{5, `4.9999999999999999999`, 1}, {5, `5.0000000000000000001`, -1},
		{0, `-0`, 0}, {0, `0e5`, 0}, {0, `-0.1`, 1}, {0, `1e-400`, -1}, {-1, `-0.5`, -1}, {-1, `-1.5`, 1},
		{9007199254740993, `9007199254740992`, 1},
		{math.MaxInt64, `9223372036854775807`, 0}, {math.MaxInt64, `9223372036854775807.5`, -1},
		{math.MaxInt64, `9223372036854775808`, -1}, {math.MaxInt64, `1e19`, -1}, {math.MaxInt64, `1e999999999999`, -1},
		{math.MinInt64, `-9223372036854775808`, 0}, {math.MinInt64, `-9223372036854775808.5`, 1},
		{math.MinInt64, `-9223372036854775809`, 1}, {math.MinInt64, `-9223372036854775807.5`, -1}, {math.MinInt64, `-1e300`, 1},
	}
	for _, test := range tests {
		row := &rowquery.Row{Order: &test.value}
		for operator, want := range map[string]bool{
			"$eq": test.order == 0, "$ne": test.order != 0,
			"$lt": test.order < 0, "$lte": test.order <= 0, "$gt": test.order > 0, "$gte": test.order >= 0,
		} {
			where := fmt.Sprintf(`{"order":{"%s":%s}}`, operator, test.operand)
			got, err := compile(t, where).Match(row)
			require.NoError(t, err)
			assert.Equal(t, want, got, "%d: %s", test.value, where)
		}
		got, err := compile(t, fmt.Sprintf(`{"order":{"$in":[1e50,%s,-1e50,7.5,-7]}}`, test.operand)).Match(row)
		require.NoError(t, err)
		assert.Equal(t, test.order == 0, got, "%d in a list with %s", test.value, test.operand)
	}
}

func TestDatesAreReadAsInstantsToTheMicrosecond(t *testing.T) {
	t.Parallel()
	const text = "2024-05-03T10:00:00.123456Z"
	row := &rowquery.Row{CreatedAt: at(text)}
	for operand, want := range map[string]bool{
		`"2024-05-03T10:00:00.123456Z"`:       true,
		`"2024-05-03T10:00:00.123456"`:        true, // UTC
		`"2024-05-03 10:00:00.123456"`:        true,
		`"2024-05-03t10:00:00,123456z"`:       true,
		`"2024-05-03T12:00:00.123456+02:00"`:  true,
		`"2024-05-03T12:00:00.123456+0200"`:   true,
		`"2024-05-03 12:00:00.123456 +02"`:    true,
		`"2024-05-02T22:30:00.123456-11:30"`:  true,
		`"2024-05-03T10:00:00.1234564Z"`:      true, // rounded, as PostgreSQL does
		`"2024-05-03T10:00:00.12345550001Z"`:  true,
		`"2024-05-03T10:00:00.123457Z"`:       false,
		`"2024-05-03T10:00:00.123Z"`:          false,
		`"2024-05-03"`:                        false,
		`1714730400123.456`:                   false, // whole milliseconds
		`"2024-05-03T10:00:00.123456+00:01"`:  false,
		`"2024-05-03T10:00:00.1234564+00:00"`: true,
	} {
		got, err := compile(t, `{"createdAt":`+operand+`}`).Match(row)
		require.NoError(t, err, operand)
		assert.Equal(t, want, got, operand)
	}

	for operand, want := range map[string]string{
		`"2024-05-03"`:               "2024-05-03T00:00:00Z",
		`"2024-05-03T10:30"`:         "2024-05-03T10:30:00Z",
		`"2024-05-03T24:00"`:         "2024-05-04T00:00:00Z",
		`"2024-02-29T23:59:59.9999"`: "2024-02-29T23:59:59.9999Z",
		`"1969-12-31T23:59:59.5"`:    "1969-12-31T23:59:59.5Z",
		`"0001-01-01"`:               "0001-01-01T00:00:00Z",
		`1714730400123`:              "2024-05-03T10:00:00.123Z",
		`0`:                          "1970-01-01T00:00:00Z",
		`-1`:                         "1969-12-31T23:59:59.999Z",
	} {
		got, err := compile(t, `{"createdAt":`+operand+`}`).Match(&rowquery.Row{CreatedAt: at(want)})
		require.NoError(t, err, operand)
		assert.True(t, got, operand)
	}
}

func TestRowTimesCountInWholeMicroseconds(t *testing.T) {
	t.Parallel()
	stored := time.Date(2024, 5, 3, 10, 0, 0, 123456789, time.FixedZone("", 3600))
	f := compile(t, `{"updatedAt":"2024-05-03T09:00:00.123456Z"}`)
	row := &rowquery.Row{UpdatedAt: &stored}
	matched, err := f.Match(row)
	require.NoError(t, err)
	assert.True(t, matched)
	assert.True(t, covers(f.Bounds(), row), "the rest of the microsecond is inside of the bounds")
}

func TestDatesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, operand := range []string{
		`""`, `"x"`, `"2024"`, `"2024-5-3"`, `"2024-13-01"`, `"2024-00-01"`, `"2023-02-29"`, `"2024-05-00"`, `"0000-01-01"`,
		`"2024-05-03T"`, `"2024-05-03T10"`, `"2024-05-03T10:60"`, `"2024-05-03T25:00"`, `"2024-05-03T24:01"`,
		`"2024-05-03T10:00:60Z"`, `"2024-05-03T10:00:00."`, `"2024-05-03T10:00Zjunk"`, `"2024-05-03T10:00+1"`,
		`"2024-05-03T10:00+16:00"`, `"2024-05-03T10:00+02:60"`, `"2024-05-03Z"`, `" 2024-05-03"`, `"٢٠٢٤-05-03"`,
		`1e20`, `true`, `{"a":1}`, `[["2024-05-03"]]`,
	} {
		where, err := decode([]byte(`{"createdAt":` + operand + `}`))
		require.NoError(t, err)
		_, err = rowquery.Compile(where)
		assert.Error(t, err, operand)
	}
}

func TestCastsFollowPostgreSQL(t *testing.T) {
	t.Parallel()
	const fails = "fails"
	tests := []struct{ stored, operand, want string }{
		{`5`, `5`, "true"}, {`"5"`, `5`, "true"}, {`" 5.0\t"`, `5`, "true"}, {`"5e0"`, `5`, "true"}, {`"0x5"`, `5`, "true"}, {`"0x1p-2"`, `0.25`, "true"},
		{`9007199254740993`, `9007199254740992`, "true"}, // both are the same double
		{`"NaN"`, `5`, "false"}, {`"-inf"`, `5`, "false"}, {`"1e-400"`, `5`, fails}, {`1e-400`, `5`, fails}, {`1e400`, `5`, fails}, {`"0e-400"`, `0`, "true"},
		{`"1_0"`, `10`, fails}, {`"0x_5"`, `5`, fails}, {`""`, `5`, fails}, {`"5 kg"`, `5`, fails}, {`true`, `1`, fails}, {`[]`, `1`, fails}, {`{}`, `1`, fails},
		{`null`, `5`, "false"},
		{`true`, `true`, "true"}, {`"true"`, `true`, "true"}, {`" T "`, `true`, "true"}, {`"yEs"`, `true`, "true"}, {`"on"`, `true`, "true"}, {`1`, `true`, "true"}, {`1e0`, `true`, "true"},
		{`"of"`, `false`, "true"}, {`"n"`, `false`, "true"}, {`0`, `false`, "true"}, {`-0`, `false`, "true"},
		{`"o"`, `true`, fails}, {`1.0`, `true`, fails}, {`2`, `true`, fails}, {`"truth"`, `true`, fails}, {`""`, `true`, fails}, {`[]`, `true`, fails}, {`1e999999`, `true`, fails},
		{`1e2`, `"100"`, "true"}, {`1.50e1`, `"15.0"`, "true"}, {`15e-4`, `"0.0015"`, "true"}, {`-1.5e-3`, `"-0.0015"`, "true"}, {`-0.00`, `"0.00"`, "true"}, {`0e-3`, `"0.000"`, "true"}, {`1.5E+1`, `"15"`, "true"},
		{`1.50`, `"1.50"`, "true"}, {`120e-1`, `"12.0"`, "true"}, {`1e999999`, `"1"`, fails}, {`0e5`, `"0"`, "true"},
		{`{"b":[1,null],"a":"x\ny","":{},"c":[]}`, `"{\"\": {}, \"a\": \"x\\ny\", \"b\": [1, null], \"c\": []}"`, "true"},
		{`["\b\f\r\t\u0001\"\\/é"]`, `"[\"\\b\\f\\r\\t\\u0001\\\"\\\\/é\"]"`, "true"},
		{`{"bb":true,"c":1e1}`, `"{\"c\": 10, \"bb\": true}"`, "true"},
		{`[1e999999]`, `"x"`, fails},
	}
	for _, test := range tests {
		t.Run(test.stored+" = "+test.operand, func(t *testing.T) {
			t.Parallel()
			matched, err := compile(t, `{"data":{"a":`+test.operand+`}}`).Match(message(t, `{"a":`+test.stored+`}`))
			got := fmt.Sprint(matched)
			if err != nil {
				got = fails
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestNotANumberIsTheHighestNumber(t *testing.T) {
	t.Parallel()
	row := message(t, `{"a":"nan"}`)
	for where, want := range map[string]bool{
		`{"data":{"a":{"$gt":1e300}}}`:       true,
		`{"data":{"a":{"$lte":1e300}}}`:      false,
		`{"data":{"a":{"$in":[1,"NaN",2]}}}`: true,
		`{"data":{"a":{"$notIn":[1,2]}}}`:    true,
	} {
		got, err := compile(t, where).Match(row)
		require.NoError(t, err)
		assert.Equal(t, want, got, where)
	}
}

func TestMessagesCutLongKeysBetweenCharacters(t *testing.T) {
	t.Parallel()
	where := map[string]any{strings.Repeat("é", 1000): nil}
	_, err := rowquery.Compile(where)
	require.Error(t, err)
	assert.Less(t, len(err.Error()), 300)
	assert.NotContains(t, err.Error(), `\x`)
}
