package datasource_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func TestWhatCheckLimitsAcceptsCanBeReadAgain(t *testing.T) {
	t.Parallel()
	deep := func(n int) M {
		v := any("x")
		for range n - 1 {
			v = []any{v}
		}
		return M{"x": v}
	}
	list := func(v any, n int) M {
		out := make([]any, n)
		for i := range out {
			out[i] = v
		}
		return M{"x": out}
	}
	for name, test := range map[string]struct {
		data M
		fits bool
	}{
		"nothing":                {nil, true},
		"text of 959 KiB":        {M{"x": strings.Repeat("x", 959<<10)}, true},
		"text of 960 KiB":        {M{"x": strings.Repeat("x", 960<<10)}, false},
		"999 levels":             {deep(999), true},
		"1,000 levels":           {deep(1000), false},
		"43,700 numbers":         {list(1, 43_700), true},
		"43,800 numbers":         {list(1, 43_800), false},
		"4,800 objects":          {list(M{}, 4_800), true},
		"5,000 objects":          {list(M{}, 5_000), false},
		"4,300 objects with one": {list(M{"a": 1}, 4_300), true},
	} {
		server := serve(t, stream("[]"))
		err := server.client(t).CheckLimits(test.data)
		if raw, fault := json.Marshal(test.data); assert.NoError(t, fault) {
			assert.Equal(t, err == nil, server.client(t).CheckLimits(json.RawMessage(raw)) == nil, name)
		}
		if !test.fits {
			require.ErrorIs(t, err, datasource.ErrRowLimit, name)
			continue
		}
		require.NoError(t, err, name)
		text, err := json.Marshal(test.data)
		require.NoError(t, err)
		rows, err := serve(t, stream(fmt.Sprintf(`[{"id":1,"dataSourceId":9,"data":%s}]`, text))).client(t).Find(t.Context(), 9, datasource.Query{})
		require.NoError(t, err, name)
		require.Len(t, rows, 1)
		assert.NoError(t, rows[0].Err, name)
		sources, err := serve(t, stream(fmt.Sprintf(`[{"id":1,"definition":%s}]`, text))).client(t).DataSources(t.Context(), datasource.SourceFilter{})
		require.NoError(t, err, name)
		assert.NoError(t, sources[0].Err, name)
	}
	err := serve(t, stream("[]")).client(t).CheckLimits(M{"x": func() {}})
	require.Error(t, err)
	assert.NotErrorIs(t, err, datasource.ErrRowLimit)
}
