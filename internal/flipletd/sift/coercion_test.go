package sift_test

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// TestCoercionsAreThoseOfJavaScript compares with answers that Node 20 gave,
// the time zone set to UTC.
func TestCoercionsAreThoseOfJavaScript(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/javascript.jsonl")
	require.NoError(t, err)
	defer file.Close()
	cases := 0
	for lines := bufio.NewScanner(file); lines.Scan(); cases++ {
		var c struct {
			Call, Text string
			Result     any
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		var got any
		switch c.Call {
		case "Number":
			got = numberOrName(sift.ToNumber(c.Text))
		case "parseFloat":
			got = numberOrName(sift.ParseFloat(c.Text))
		case "range":
			got = numberOrName(sift.RangeNumber(c.Text))
		case "Date.parse":
			got = numberOrName(sift.ParseDate(c.Text))
		case "toLowerCase":
			got = sift.Lower(c.Text)
		case "String":
			f, err := strconv.ParseFloat(c.Text, 64)
			require.NoError(t, err)
			got = string(sift.AppendNumber(nil, f))
		default:
			t.Fatalf("no such call: %s", c.Call)
		}
		assert.Equal(t, c.Result, got, "%s(%q)", c.Call, c.Text)
	}
	assert.Greater(t, cases, 200)
}

// numberOrName writes what JSON has no number for as text.
func numberOrName(f float64) any {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return 0.0
	}
	return f
}
