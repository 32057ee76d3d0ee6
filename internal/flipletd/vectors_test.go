package flipletd_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// TestVectorsOverHTTP asks the recorded questions of the whole server: rows are
// stored, the clause travels in a request, ids come back. Packages sift and
// rowquery have them without a server.
func TestVectorsOverHTTP(t *testing.T) {
	t.Parallel()
	for file, differs := range vectorRunners {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			cases, wrong := 0, 0
			for _, line := range vectorLines(t, file) {
				problem, sensible := differs(t, line)
				if !sensible {
					continue
				}
				if cases++; problem != "" {
					wrong++
					t.Error(problem)
				}
			}
			require.NotZero(t, cases)
			t.Logf("%s: %d cases, %d differ", file, cases, wrong)
		})
	}
}

// TestVectorsOverHTTPNoticeAChangedAnswer spoils each answer.
func TestVectorsOverHTTPNoticeAChangedAnswer(t *testing.T) {
	t.Parallel()
	for file, differs := range vectorRunners {
		lines := vectorLines(t, file)
		for _, line := range lines[:min(25, len(lines))] {
			var fields map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(line, &fields))
			switch {
			case fields["error"] != nil:
				delete(fields, "error")
				fields["expectIds"] = json.RawMessage(`[]`)
			case fields["expectIds"] != nil:
				fields["expectIds"] = json.RawMessage(`[987654321]`)
			case string(fields["expect"]) == "true":
				fields["expect"] = json.RawMessage(`false`)
			default:
				fields["expect"] = json.RawMessage(`true`)
			}
			spoilt, err := json.Marshal(fields)
			require.NoError(t, err)
			if problem, sensible := differs(t, spoilt); sensible {
				assert.NotEmpty(t, problem, "%s: %s", file, fields["name"])
			}
		}
	}
}

// vectorRunners say what is wrong about the answer to a case, and whether the case
// can be put to a server.
var vectorRunners = map[string]func(t *testing.T, line []byte) (problem string, sensible bool){
	"sift.jsonl":            siftOverHTTP,
	"sift-errors.jsonl":     siftOverHTTP,
	"fliplet-filters.jsonl": siftOverHTTP,
	"entries-where.jsonl":   whereOverHTTP,
	"jsonb-contains.jsonl":  containsOverHTTP,
}

func siftOverHTTP(t *testing.T, line []byte) (string, bool) {
	var c struct {
		Name string
		Docs []struct {
			ID   int64
			Data any
		}
		Where     json.RawMessage
		ExpectIDs []int64
		Error     string
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&c))
	rows := make([]map[string]any, len(c.Docs))
	isObject := c.Where[0] == '{'
	for i, doc := range c.Docs {
		row, ok := doc.Data.(map[string]any)
		rows[i], isObject = row, isObject && ok
	}
	if !isObject {
		return "", false // rows are objects, and so is a clause
	}
	k := start(t)
	source := k.source(m{})
	ids, err := k.Insert(source, rows...)
	require.NoError(t, err)
	a := k.do("POST", fmt.Sprintf("/v1/data-sources/%d/data/query", source), `{"type":"select","where":`+string(c.Where)+`}`)
	if c.Error != "" {
		if a.status != 400 {
			return fmt.Sprintf("%s: status %d instead of an error", c.Name, a.status), true
		}
		return "", true
	}
	got := a.matched()
	for i, id := range got {
		got[i] = c.Docs[slices.Index(ids, id)].ID
	}
	return compareIDs(c.Name, a, got, c.ExpectIDs), true
}

// matched are the ids of an answer's entries.
func (a answer) matched() []int64 {
	var body struct{ Entries []struct{ ID int64 } }
	_ = json.Unmarshal([]byte(a.body), &body) // a refusal has no entries
	var ids []int64
	for _, e := range body.Entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func compareIDs(name string, a answer, got, want []int64) string {
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if a.status != 200 || !slices.Equal(got, want) {
		return fmt.Sprintf("%s: status %d, ids %v, want %v", name, a.status, got, want)
	}
	return ""
}

// stored is a journal that hands out rows with ids and times of their own.
type stored []flipletd.Record

func (s stored) Apply([]flipletd.Record) error { return nil }

func (s stored) Load(yield func(flipletd.Record) error) error {
	for _, r := range s {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// The ids of the contacts and of the one contact: no vector has them.
const vectorContacts, vectorContact = 1 << 40, 1 << 41

func whereOverHTTP(t *testing.T, line []byte) (string, bool) {
	var c struct {
		Name    string
		Entries []struct {
			ID, DataSourceID     int64
			Data                 json.RawMessage
			CreatedAt, UpdatedAt *time.Time
		}
		Where     json.RawMessage
		ExpectIDs []int64
	}
	var raw struct{ Entries []json.RawMessage }
	require.NoError(t, json.Unmarshal(line, &c))
	require.NoError(t, json.Unmarshal(line, &raw))
	records := stored{
		{Kind: "dataSource", ID: vectorContacts, Value: fmt.Appendf(nil, `{"id":%d,"name":"Contacts","organizationId":1,"appId":1,"createdAt":%s,"updatedAt":%s}`, vectorContacts, at, at)},
		{Kind: "entry", ID: vectorContact, Value: fmt.Appendf(nil, `{"id":%d,"dataSourceId":%d,"data":{"flUserId":"u","flUserToken":"tu"},"createdAt":%s,"updatedAt":%s}`, vectorContact, vectorContacts, at, at)},
	}
	conversations := map[int64]bool{}
	want := c.ExpectIDs
	for i, e := range c.Entries {
		if e.CreatedAt == nil || e.UpdatedAt == nil || len(e.Data) == 0 || e.Data[0] != '{' {
			// A column that is NULL, which a server never has.
			want = slices.DeleteFunc(want, func(id int64) bool { return id == e.ID })
			continue
		}
		records = append(records, flipletd.Record{Kind: "entry", ID: e.ID, Value: raw.Entries[i]})
		conversations[e.DataSourceID] = true
	}
	for id := range conversations {
		records = append(records, flipletd.Record{Kind: "dataSource", ID: id, Value: fmt.Appendf(nil,
			`{"id":%d,"name":"Talk","type":"conversation","organizationId":1,"appId":1,"definition":{"participants":["u"]},"createdAt":%s,"updatedAt":%s}`, id, at, at)})
	}
	k := start(t, func(cfg *flipletd.Config) { cfg.Journal = records })
	a := k.do("POST", "/v1/data-sources/data", `{"flUserToken":"tu","includeDeleted":true,"where":`+string(c.Where)+`}`)
	if c.Where[0] != '{' {
		return "", false
	}
	return compareIDs(c.Name, a, a.matched(), want), true
}

// containsOverHTTP looks for a conversation by its definition.
func containsOverHTTP(t *testing.T, line []byte) (string, bool) {
	var c struct {
		Name        string
		Doc, Filter json.RawMessage
		Expect      bool
	}
	require.NoError(t, json.Unmarshal(line, &c))
	if c.Doc[0] != '{' || c.Filter[0] != '{' {
		return "", false // definitions are objects
	}
	k := start(t)
	k.do("POST", "/v1/data-sources", `{"appId":1,"name":"Talk","definition":`+string(c.Doc)+`}`).ok(201)
	a := k.do("POST", "/v1/data-sources", `{"appId":1,"name":"Other"}`)
	require.Equal(t, 201, a.status)
	a = k.do("GET", "/v1/data-sources?appId=1&attributes=id&definition="+url.QueryEscape(string(c.Filter)), "")
	var list struct{ DataSources []struct{ ID int64 } }
	require.NoError(t, json.Unmarshal([]byte(a.body), &list))
	found := slices.ContainsFunc(list.DataSources, func(s struct{ ID int64 }) bool { return s.ID == 101 })
	if a.status != 200 || found != c.Expect {
		return fmt.Sprintf("%s: status %d, found %t, want %t", c.Name, a.status, found, c.Expect), true
	}
	return "", true
}

// vectorLines reads a file of the directory in FLIPLET_CHAT_VECTORS, else of the
// vectors beside the repository, else of the samples of sift and rowquery.
func vectorLines(t *testing.T, file string) [][]byte {
	t.Helper()
	root, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, root, filepath.Dir(root), "no go.mod above the test")
		root = filepath.Dir(root)
	}
	places := []string{filepath.Join(root, "..", "shared", "vectors"), filepath.Join("sift", "testdata"), filepath.Join("rowquery", "testdata")}
	if dir := os.Getenv("FLIPLET_CHAT_VECTORS"); dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		places = []string{dir}
	}
	for _, dir := range places {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		var lines [][]byte
		scanner := bufio.NewScanner(bytes.NewReader(text))
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			if line := bytes.TrimSpace(scanner.Bytes()); len(line) > 0 {
				lines = append(lines, bytes.Clone(line))
			}
		}
		require.NoError(t, scanner.Err())
		require.NotEmpty(t, lines)
		return lines
	}
	require.Fail(t, "there is no "+file)
	return nil
}
