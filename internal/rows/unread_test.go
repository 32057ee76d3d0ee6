package rows_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// scripted answers every request in the same way.
type scripted string

func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Body: io.NopCloser(strings.NewReader(string(s))),
	}, nil
}

func crowd(t *testing.T, answer string) rows.Crowd {
	t.Helper()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", HTTPClient: &http.Client{Transport: scripted(answer)}})
	require.NoError(t, err)
	return rows.Crowd{Client: client, Apps: []int64{1, 2}}
}

func TestAnAnswerThatDoesNotTellWhatIsUnreadIsNotCounted(t *testing.T) {
	t.Parallel()
	users := map[int64][]string{7: {"jane"}, 8: {"jane", "bob"}}
	for name, test := range map[string]struct {
		answer string
		want   map[int64][][]string // nil: an error
	}{
		"rows of both":               {`{"entries":[{"id":1,"dataSourceId":7,"data":{"readBy":["eve"]}},{"id":2,"dataSourceId":8,"data":{"readBy":["bob"]}}]}`, map[int64][][]string{7: {{"eve"}}, 8: {{"bob"}}}},
		"nothing":                    {`{"entries":[]}`, map[int64][][]string{}},
		"nobody has read it":         {`{"entries":[{"id":1,"dataSourceId":7,"data":{"readBy":null}},{"id":2,"dataSourceId":7,"data":{}}]}`, map[int64][][]string{7: {nil, nil}}},
		"a list of something else":   {`{"entries":[{"id":1,"dataSourceId":7,"data":{"readBy":[7,{"a":1},"jane"]}}]}`, map[int64][][]string{7: {{"7", "jane"}}}},
		"readers as text":            {`{"entries":[{"id":1,"dataSourceId":7,"data":{"readBy":"jane"}}]}`, nil},
		"readers as an object":       {`{"entries":[{"id":1,"dataSourceId":7,"data":{"readBy":{"jane":true}}}]}`, nil},
		"a row of another one":       {`{"entries":[{"id":1,"dataSourceId":9,"data":{}}]}`, nil},
		"it does not say whose":      {`{"entries":[{"id":1,"data":{"readBy":["eve"]}}]}`, nil},
		"a row that breaks a limit":  {`{"entries":[{"id":1,"dataSourceId":7,"data":{"readBy":"` + strings.Repeat("x", 2<<20) + `"}}]}`, nil},
		"a page of a portal instead": {`<html>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := crowd(t, test.answer)
			found, err := c.Unread(t.Context(), []int64{7, 8}, users, 100)
			if test.want == nil {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, found)
		})
	}
}

func TestMembersAreThoseOfConversationsThatCanBeRead(t *testing.T) {
	t.Parallel()
	c := crowd(t, `{"dataSources":[
		{"id":7,"type":"conversation","definition":{"participants":["jane","bob","jane"]}},
		{"id":8,"type":"conversation","definition":{"participants":["bob",7,null]}},
		{"id":9,"type":"conversation","definition":null},
		{"id":10,"type":null,"definition":{"participants":["jane"]}},
		{"id":7,"type":"conversation","definition":{"participants":["jane"]}}]}`)
	of, err := c.Members(t.Context(), []string{"jane", ""})
	require.NoError(t, err)
	assert.Equal(t, map[string][]int64{"jane": {7}}, of)

	c = crowd(t, `{"dataSources":[{"id":7,"type":"conversation","definition":{"x":"`+strings.Repeat("x", 2<<20)+`"}}]}`)
	_, err = c.Members(t.Context(), []string{"jane"})
	require.ErrorIs(t, err, datasource.ErrRowLimit)
}
