package sift_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

func repeated(elem string, n int) string { return strings.Repeat(elem+",", n-1) + elem }

// A clause and a row that are long multiply. Whatever is looked at counts.
func TestAMeterEndsALongMatch(t *testing.T) {
	t.Parallel()
	const n = 500
	ones := "[" + repeated("1", n) + "]"
	for name, c := range map[string]struct{ where, row string }{
		"$or":            {`{"$or":[` + repeated(`{"l":2}`, n) + `]}`, `{"l":` + ones + `}`},
		"$and":           {`{"$and":[` + repeated(`{"l":{"$ne":2}}`, n) + `]}`, `{"l":` + ones + `}`},
		"$nor":           {`{"$nor":[` + repeated(`{"l":{"$gt":2}}`, n) + `]}`, `{"l":` + ones + `}`},
		"$in":            {`{"$or":[` + repeated(`{"l":{"$in":[2]}}`, n) + `]}`, `{"l":` + ones + `}`},
		"$in of clauses": {`{"l":{"$elemMatch":{"$in":[` + repeated(`{"$gt":2}`, n) + `]}}}`, `{"l":` + ones + `}`},
		"$in text":       {`{"$or":[` + repeated(`{"l":{"$in":"abc"}}`, n) + `]}`, `{"l":` + ones + `}`},
		"$elemMatch":     {`{"$or":[` + repeated(`{"l":{"$elemMatch":{"$size":3}}}`, n) + `]}`, `{"l":` + ones + `}`},
		"a path":         {`{"$or":[` + repeated(`{"l.a":2}`, n) + `]}`, `{"l":[` + repeated(`{"a":1}`, n) + `]}`},
		"length":         {`{"$or":[` + repeated(`{"s.length":2}`, n) + `]}`, `{"s":"` + strings.Repeat("s", 64*n) + `"}`},
		"a long text":    {`{"$or":[` + repeated(`{"s":{"$iLike":"é"}}`, n) + `]}`, `{"s":"` + strings.Repeat("s", 64*n) + `"}`},
		"nested lists":   {`{"$or":[` + repeated(`{"l":"x"}`, n) + `]}`, `{"l":[` + ones + `]}`},
		"$match":         {`{"$or":[` + repeated(`{"l":{"$match":[2]}}`, n) + `]}`, `{"l":` + ones + `}`},
		"$size of text":  {`{"$or":[` + repeated(`{"s":{"$size":2}}`, n) + `]}`, `{"s":"` + strings.Repeat("s", 64*n) + `"}`},
		"$regex":         {`{"s":{"$regex":"(a*)*\\1b"}}`, `{"s":"` + strings.Repeat("a", 200) + `"}`},
		"oneof": {`{"$filters":[{"column":"l","condition":"oneof","value":[` + repeated("2", n) + `]}]}`,
			`{"l":` + ones + `}`},
		"$type":    {`{"$or":[` + repeated(`{"l":{"$elemMatch":{"$type":"string"}}}`, n) + `]}`, `{"l":` + ones + `}`},
		"nothing":  {`{"$nor":[` + repeated(`{"l":{"$elemMatch":{"$not":{}}}}`, n) + `]}`, `{"l":` + ones + `}`},
		"$or of 0": {`{"$or":[` + repeated(`{"l":{"$elemMatch":{"$or":[]}}}`, n) + `]}`, `{"l":` + ones + `}`},
		"empty lists": {`{"$or":[` + repeated(`{"l.a.b":1}`, n) + `]}`,
			`{"l":[` + repeated(`{"a":[]}`, n) + `]}`},
		"quirks": {`{"$or":[` + repeated(`{"l":{"$elemMatch":{"hasOwnProperty":1}}}`, n) + `]}`, `{"l":` + ones + `}`},
		"$exists": {`{"$or":[` + repeated(`{"l.a":{"$exists":false}}`, n) + `]}`,
			`{"l":[` + repeated(`{"a":1}`, n) + `]}`},
		"contains": {`{"$filters":[` + repeated(`{"column":"l","condition":"notcontain","value":"x"}`, n) + `]}`, `{"l":` + ones + `}`},
	} {
		filter, err := sift.Compile(json.RawMessage(c.where))
		require.NoError(t, err, name)
		doc := decode(t, c.row)
		m := sift.Meter{Steps: n * n / 2}
		_, err = filter.MatchWithin(doc, &m)
		if name == "$regex" {
			require.Error(t, err)
			assert.Zero(t, m.Steps, "a pattern that is given up counts")
			continue
		}
		require.ErrorIs(t, err, sift.ErrSteps, name)
		without, err := filter.Match(doc)
		require.NoError(t, err, name)
		m = sift.Meter{Steps: 1 << 40}
		within, err := filter.MatchWithin(doc, &m)
		require.NoError(t, err, name)
		assert.Equal(t, without, within, name)
		assert.Less(t, 1<<40-m.Steps, 5*n*n, name)
	}
}

func TestAMeterAsksForMore(t *testing.T) {
	t.Parallel()
	filter, err := sift.Compile(json.RawMessage(`{"l":2}`))
	require.NoError(t, err)
	doc := decode(t, fmt.Sprintf(`{"l":[%s]}`, repeated("1", 1000)))
	asked := 0
	m := sift.Meter{Steps: 100, More: func() int { asked++; return 100 }}
	_, err = filter.MatchWithin(doc, &m)
	require.NoError(t, err)
	assert.InDelta(t, 10, asked, 1)
	m = sift.Meter{More: func() int { asked = -1; return 0 }}
	_, err = filter.MatchWithin(doc, &m)
	require.ErrorIs(t, err, sift.ErrSteps)
	assert.Equal(t, -1, asked)
}
