package rows_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// The server chooses the URL of an upload, so what can be known is where it leads and its name.
func TestAnUploadIsFoundWhereUploadsGo(t *testing.T) {
	t.Parallel()
	for file, found := range map[string]bool{
		"https://api.fliplet.com/v1/media/files/9/contents/In%20voice.txt":     true,
		"https://api.fliplet.com/v1/media/files/9/contents/in_voice.TXT?v=1":   true,
		"https://api.fliplet.com/v1/media/files/9/contents":                    true,
		"https://cdn.fliplet.com/apps/1/x-17.txt":                              true,
		"https://us.cdn.api.fliplet.com/v1/media/files/9/contents/invoice.txt": true,
		"https://api.fliplet.com/v1/media/files/9/contents/malware.txt":        false,
		"https://api.fliplet.com/v1/apps/9":                                    false,
		"https://evil.example.org/v1/media/files/9/contents/invoice.txt":       false,
		"https://fliplet.com.evil.org/v1/media/files/9/contents/invoice.txt":   false,
		"https://evilfliplet.com/v1/media/files/9/contents/invoice.txt":        false,
		"https://me@api.fliplet.com/v1/media/files/9/contents/invoice.txt":     false,
		"http://cdn.fliplet.com/apps/1/x-17.txt":                               false,
		"ftp://api.fliplet.com/v1/media/files/9/contents/invoice.txt":          false,
		"data:text/plain;base64,eA==":                                          false,
		"//evil.example.org/a":                                                 false,
		"\x00":                                                                 false,
		"":                                                                     false,
	} {
		write := datasource.Write{Data: datasource.M{"guid": "g", "fromUserId": "u"}, Files: []datasource.Part{{Field: "file[]", Filename: "in voice.txt"}}}
		row := datasource.Entry{ID: 1, Data: datasource.M{"guid": "g", "fromUserId": "u", "file": []any{file}, "fileMediaFileId": []any{9}}}
		for _, c := range []struct{ same, proven, found bool }{{false, false, false}, {true, false, found}, {true, true, file != ""}} {
			got := rows.Sent([]datasource.Entry{row}, 7, write, "https://api.fliplet.com/", func(*datasource.Entry) (same, proven bool) { return c.same, c.proven })
			assert.Equal(t, c.found, got != nil, "%q, %+v", file, c)
		}
	}
}

func TestWhateverARowHoldsItIsNotTakenForASendThatItIsNot(t *testing.T) {
	t.Parallel()
	write := datasource.Write{Data: datasource.M{"guid": "g", "fromUserId": "u", "n": 1, "list": []any{1}, "gone": nil}}
	same := datasource.M{"guid": "g", "fromUserId": "u", "n": "1", "list": []any{1.0}}
	for name, c := range map[string]struct {
		column string
		value  any
		found  bool
	}{
		"the same":        {"readBy", []any{"a"}, true},
		"null beside it":  {"more", nil, true},
		"null":            {"n", nil, false},
		"an object":       {"n", datasource.M{"n": 1}, false},
		"what cannot be":  {"n", func() {}, false},
		"another list":    {"list", []any{1, 2}, false},
		"another sender":  {"fromUserId", "v", false},
		"a sender's list": {"fromUserId", []any{"u"}, false},
		"what was null":   {"gone", "x", false},
		"a column more":   {"more", false, false},
		"a file":          {"file", "https://x/", false},
	} {
		row := datasource.Entry{ID: 1, Data: datasource.M{}}
		for k, v := range same {
			row.Data[k] = v
		}
		row.Data[c.column] = c.value
		for _, other := range []datasource.Entry{{ID: 3}, {ID: 4, Data: same, Err: datasource.ErrRowLimit}} {
			got := rows.Sent([]datasource.Entry{other, row}, 7, write, "https://api.fliplet.com/", func(*datasource.Entry) (same, proven bool) { return true, false })
			assert.Equal(t, c.found, got != nil, name)
		}
	}
}
