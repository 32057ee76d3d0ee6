package datasource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheValuesOfATextAreCountedAsThoseOfARow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`1`: 1, `"a,b[{"`: 1, `[1,2,3]`: 3 + 8, `{"a":1,"b":{}}`: 2 + 16, `["\\",",\",",{}]`: 3 + 16, `["é,é","\\\"",1]`: 3 + 8, `"` + strings.Repeat("x,", 99) + `"`: 1,
	} {
		assert.Equal(t, want, valuesIn([]byte(text)), text)
	}
}

func TestOfDataSourcesThoseWithTheMostValuesAreLeftOut(t *testing.T) {
	t.Parallel()
	const row = 1 << 20
	source := func(id int, name, value string) string {
		return fmt.Sprintf(`{"id":%d,"type":"conversation","name":"n",%q:%s}`, id, name, value)
	}
	objects := func(n int) string { return `{"metadata":[` + strings.Repeat(`{},`, n) + `0]}` }
	for name, test := range map[string]struct {
		bad   string
		n     int // how many of them
		whole int // how many of them can be read
	}{
		"objects":         {`"definition":` + objects(300_000), 62, 0},
		"texts":           {`"definition":["x"` + strings.Repeat(`,"a"`, 250_000) + `]`, 62, 0},
		"access rules":    {`"accessRules":` + objects(300_000), 3, 0},
		"hooks and rules": {`"accessRules":` + objects(4_000) + `,"hooks":` + objects(4_000), 3, 0},
		"within limits":   {`"definition":` + objects(4_000), 20, 20},
		"many together":   {`"definition":` + objects(5_000), 62, 23},
		"own fields":      {`"x":0` + strings.Repeat(`,"y":0`, 100), 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var answer strings.Builder
			answer.WriteString(`{"dataSources":[`)
			for i := range test.n {
				fmt.Fprintf(&answer, `{"id":%d,"type":"conversation",%s},`, 100+i, test.bad)
			}
			answer.WriteString(source(1, "definition", `{"participants":["jane"]}`) + `]}`)
			list, err := decodeSources([]byte(answer.String()), row, "")
			require.NoError(t, err)
			require.Len(t, list, test.n+1)
			whole := 0
			for _, s := range list[:test.n] {
				if s.Err == nil {
					whole++
					continue
				}
				require.ErrorIs(t, s.Err, ErrRowLimit)
				require.Nil(t, s.Definition)
				require.Nil(t, s.AccessRules)
				require.NotZero(t, s.ID)
			}
			assert.Equal(t, test.whole, whole)
			assert.NoError(t, list[test.n].Err, "a small one beside them")
			assert.JSONEq(t, `{"participants":["jane"]}`, string(list[test.n].Definition))
		})
	}
	t.Run("columns and unknown fields", func(t *testing.T) {
		var fields strings.Builder
		for i := range 100_000 {
			fmt.Fprintf(&fields, `"f%d":0,`, i)
		}
		list, err := decodeSources([]byte(`[{`+fields.String()+`"id":7,"definition":{"participants":["jane"]}},`+source(8, "columns", `["a"`+strings.Repeat(`,"a"`, 100_000)+`]`)+`,`+source(9, "columns", `["a"]`)+`]`), row, "")
		require.NoError(t, err)
		require.Len(t, list, 3)
		assert.LessOrEqual(t, len(list[0].Extra), 50_000/8)
		assert.JSONEq(t, `{"participants":["jane"]}`, string(list[0].Definition))
		assert.NoError(t, list[0].Err)
		assert.NoError(t, list[1].Err)
		assert.Empty(t, list[1].Columns)
		assert.Equal(t, []string{"a"}, list[2].Columns)
	})
	t.Run("as many unknown fields as there may be", func(t *testing.T) {
		var fields strings.Builder
		for i := range maxRowValues/containerCost + 1 {
			fmt.Fprintf(&fields, `"f%d":null,`, i) // which is no value itself
		}
		list, err := decodeSources([]byte(`[{`+fields.String()+`"id":7}]`), row, "")
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, maxRowValues/containerCost, len(list[0].Extra))
	})
	t.Run("an unknown field of too many values", func(t *testing.T) {
		list, err := decodeSources([]byte(`[{"id":7,"many":[0`+strings.Repeat(`,0`, maxRowValues)+`],"few":[0]}]`), row, "")
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.NotContains(t, list[0].Extra, "many")
	})
	t.Run("as many columns as there may be", func(t *testing.T) {
		list, err := decodeSources([]byte(`[`+source(8, "columns", `["a"`+strings.Repeat(`,"a"`, maxRowValues-1)+`]`)+`,`+source(9, "columns", `["a"`+strings.Repeat(`,"a"`, maxRowValues)+`]`)+`]`), row, "")
		require.NoError(t, err)
		assert.Len(t, list[0].Columns, maxRowValues)
		assert.Empty(t, list[1].Columns)
	})
}
