package datasource_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// secretRow has secrets in every place where a row of a chat can have them.
func secretRow() datasource.Entry {
	return datasource.Entry{
		ID: 5, DataSourceID: 7,
		Data: M{
			"flUserToken": "canary", "FLUSERTOKEN": "canary", "auth_token": "canary", "authToken": "canary", "Password": "canary", "encryptionKey": M{"a": "canary"},
			"_flSchema": M{"file": M{"encryptionKey": "canary"}}, "asText": `{"file":{"encryptionKey":"canary"},"list":[{"inviteCode":7}]}`,
			"file": []string{"https://api.fliplet.com/v1/media/files/9/contents/x.png?size=1&encryptionKey=canary&auth_token=canary#x"},
			"list": []any{M{"inviteCode": "canary", "kept": "yes"}}, "token": "canary", "flUserToken2": "canary", "n": json.Number("1.0"), "note": "the password: swordfish", "big": json.Number("9007199254740993"),
		},
		Extra: M{"joins": M{"contacts": []any{M{"flUserToken": "canary"}}}},
	}
}

func secretSource() datasource.DataSource {
	return datasource.DataSource{
		ID: 7, Type: "conversation", Name: "canary",
		Definition: json.RawMessage(`{"encryptionKey":"canary","inviteCode":"canary","participants":["a"],"deep":[{"EncryptionKey":"canary","x":1.0}],"metadata":{"token":"canary","Invite_Code2":"canary"}}`),
		Hooks:      json.RawMessage(`[{"type":"web","payload":{"headers":{"Authorization":"canary"}}}]`),
		Extra:      map[string]json.RawMessage{"entries": json.RawMessage(`[{"data":{"flUserToken":"canary"}}]`), "authToken": json.RawMessage(`"canary"`)},
	}
}

func TestRowsAndDataSourcesPrintNothingOfWhatIsInThem(t *testing.T) {
	t.Parallel()
	row, source := secretRow(), secretSource()
	write := datasource.Write{Data: row.Data, Files: []datasource.Part{{Field: "f", Filename: "canary.png", Content: []byte("canary")}}}
	raw := json.RawMessage(`{"encryptionKey":"canary"}`)
	for _, v := range []any{
		row, &row, []datasource.Entry{row}, []*datasource.Entry{&row}, map[string]datasource.Entry{"a": row}, struct{ E datasource.Entry }{row},
		source, &source, []datasource.DataSource{source}, &datasource.Result{Entries: []datasource.Entry{row}, Deleted: []datasource.Entry{row}},
		datasource.Result{Entries: []datasource.Entry{row}}, write, &write, []datasource.Write{write}, write.Files[0], write.Files,
		datasource.Query{Where: row.Data}, &datasource.Query{Where: row.Data}, datasource.CommitEntry{Data: row.Data}, datasource.Commit{Entries: []datasource.CommitEntry{{Data: row.Data}}},
		datasource.CommitResult{Entries: []datasource.Entry{row}}, datasource.SourceFilter{Definition: row.Data}, datasource.SourcePatch{Definition: raw},
		datasource.NewDataSource{Type: "conversation", Definition: raw, Entries: []M{row.Data}},
	} {
		var b bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
		assert.NotContains(t, b.String(), "canary", "%T", v)
		assert.NotContains(t, b.String(), fmt.Sprintf("%x", "canary"), "%T", v)
	}
	assert.Equal(t, "entry 5 of data source 7 (15 columns)", fmt.Sprintf("%+v", row))
	assert.Equal(t, `data source 7 of type "conversation"`, fmt.Sprintf("%+v", source))
}

func TestWhatIsGivenToRequestsIsMarshalledAsALine(t *testing.T) {
	t.Parallel()
	data, raw := M{"Password": "canary", "note": "canary"}, json.RawMessage(`{"encryptionKey":"canary","note":"canary"}`)
	for want, v := range map[string]any{
		"query of 2 conditions":                                   datasource.Query{Where: data},
		"write of 2 columns and 0 files":                          datasource.Write{Data: data},
		`part "f" (a/b), 6 bytes`:                                 datasource.Part{Field: "f", ContentType: "a/b", Filename: "canary.png", Content: []byte("canary")},
		"commit of entry 0 (2 columns)":                           datasource.CommitEntry{Data: data},
		`filter for data sources of app 0 of type "conversation"`: datasource.SourceFilter{Type: "conversation", Definition: data},
		`new data source of type "conversation"`:                  datasource.NewDataSource{Type: "conversation", Name: "canary", Definition: raw, Entries: []M{data}},
		"patch of a data source":                                  datasource.SourcePatch{Definition: raw},
	} {
		got, err := json.Marshal(v)
		require.NoError(t, err)
		text, err := json.Marshal(want)
		require.NoError(t, err)
		assert.Equal(t, string(text), string(got))
		for _, v := range []any{v, []any{v}, struct{ In any }{v}} {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
			slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
			assert.NotContains(t, b.String(), "canary", "%T", v)
			assert.NotContains(t, b.String(), "Y2FuYXJ5", "%T", v)
		}
	}
}

func TestTheJSONOfRowsAndDataSourcesHasNoTokenKeyOrInviteCode(t *testing.T) {
	t.Parallel()
	row, source := secretRow(), secretSource()
	source.Name = "n"
	for _, v := range []any{row, &row, []datasource.Entry{row}, datasource.Result{Entries: []datasource.Entry{row}}, source, &source, []datasource.DataSource{source}} {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		assert.NotContains(t, string(raw), "canary", "%T", v)
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
		assert.NotContains(t, b.String(), "canary", "%T", v)
	}
	raw, err := json.Marshal(row)
	require.NoError(t, err)
	var got datasource.Entry
	require.NoError(t, json.Unmarshal(raw, &got))
	assert.Equal(t, int64(5), got.ID)
	assert.Equal(t, "the password: swordfish", got.Data["note"], "other texts stay as they are")
	assert.Equal(t, []any{M{"kept": "yes"}}, got.Data["list"])
	assert.Equal(t, `{"file":{},"list":[{}]}`, got.Data["asText"])
	assert.Equal(t, []any{"https://api.fliplet.com/v1/media/files/9/contents/x.png?size=1&encryptionKey=REDACTED&auth_token=REDACTED#x"}, got.Data["file"])
	assert.Contains(t, string(raw), `"n":1.0`)
	assert.Contains(t, string(raw), `"big":9007199254740993`)
	assert.Equal(t, secretRow(), row, "the row itself stays whole")
	raw, err = json.Marshal(source)
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"Definition":{"deep":[{"x":1.0}],"metadata":{},"participants":["a"]}`)
	raw, err = json.Marshal(datasource.Entry{ID: 1, Err: datasource.ErrRowLimit})
	require.NoError(t, err)
	assert.JSONEq(t, `{"ID":1,"DataSourceID":0,"Data":null,"Order":null,"CreatedAt":"0001-01-01T00:00:00Z","UpdatedAt":"0001-01-01T00:00:00Z","DeletedAt":null,"Extra":null}`, string(raw))
}
