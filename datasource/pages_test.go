package datasource_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// rowsOf is an answer with n rows whose bodies have so many bytes.
func rowsOf(n, size int) string {
	var b strings.Builder
	b.WriteString(`{"entries":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"dataSourceId":9,"data":{"body":%q}}`, i+1, strings.Repeat("x", size))
	}
	b.WriteString(`]}`)
	return b.String()
}

// asks are the two ways to ask for rows.
func asks(c *datasource.Client) map[string]func(context.Context) (*datasource.Result, error) {
	return map[string]func(context.Context) (*datasource.Result, error){
		"Select": func(ctx context.Context) (*datasource.Result, error) {
			return c.Select(ctx, 9, datasource.Query{Limit: 200})
		},
		"SelectAcross": func(ctx context.Context) (*datasource.Result, error) {
			return c.SelectAcross(ctx, []byte(`{"limit":200}`), nil)
		},
	}
}

func TestAResultSaysWhetherThereMayBeMoreRows(t *testing.T) {
	t.Parallel()
	sizes := []int{100, 100, 150, 100, 0, 200, 150}
	more := []bool{true, true, true, false, false, true, false}
	for _, name := range []string{"Select", "SelectAcross"} {
		var answers []http.HandlerFunc
		for _, n := range sizes {
			answers = append(answers, answer(200, rowsOf(n, 10)))
		}
		c := serve(t, answers...).client(t)
		for i, n := range sizes {
			got, err := asks(c.View())[name](t.Context())
			require.NoError(t, err)
			assert.Len(t, got.Entries, n)
			assert.EqualValues(t, len(rowsOf(n, 10)), got.Size)
			assert.Equal(t, more[i], got.More, "%s: answer %d, of %d rows", name, i, n)
		}
	}
}

func TestAnAnswerWithMoreBytesThanAtMostIsNotRead(t *testing.T) {
	t.Parallel()
	c := serve(t, answer(200, rowsOf(40, 100<<10))).client(t)
	for name, ask := range asks(c) {
		_, err := ask(datasource.AtMost(t.Context(), 1<<20))
		tooLarge := new(datasource.ResponseTooLargeError)
		require.ErrorAs(t, err, &tooLarge, name)
		assert.EqualValues(t, 1<<20, tooLarge.Limit)
		assert.InDelta(t, 11, tooLarge.Rows, 1, "of 100 KiB each")
		for _, most := range []int64{0, -1, 8 << 20, 1 << 40} {
			got, err := ask(datasource.AtMost(t.Context(), most))
			require.NoError(t, err, name)
			assert.Len(t, got.Entries, 40)
		}
	}
}

func TestARowThatBreaksALimitDoesNotCountForAtMost(t *testing.T) {
	t.Parallel()
	c := serve(t, answer(200, rowsOf(4, 3<<20))).client(t)
	got, err := c.Select(datasource.AtMost(t.Context(), 2<<20), 9, datasource.Query{Limit: 200})
	require.NoError(t, err)
	require.Len(t, got.Entries, 4)
	require.ErrorIs(t, got.Entries[3].Err, datasource.ErrRowLimit)
	assert.Less(t, got.Size, int64(1<<20), "what was left out does not count")
}

// A program that asks for pages, and for smaller ones when rows are large.
func ExampleAtMost() {
	server := httptest.NewServer(answer(200, rowsOf(40, 100<<10)))
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	ctx := datasource.AtMost(context.Background(), 2<<20)
	_, err = client.Select(ctx, 123, datasource.Query{Limit: 200})
	fmt.Println(err)
	// Output: datasource: POST v1/data-sources/123/data/query: the answer is larger than 2097152 bytes: ask for fewer rows or raise Config.MaxResponseBytes
}
