package rowquery_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// TestVectors runs the recorded answers of PostgreSQL 15 that are described
// in the README beside them. FLIPLET_CHAT_VECTORS names their directory, a
// relative path from the repository's root; without it ../shared/vectors
// beside the repository is tried, then the sample in testdata.
func TestVectors(t *testing.T) {
	t.Parallel()
	runners := map[string]func([]byte) error{
		"jsonb-contains.jsonl": checkContains,
		"entries-where.jsonl":  checkWhere,
	}
	dir := vectorDir(t)
	for name, check := range runners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cases, differences := runVectors(t, filepath.Join(dir, name), check)
			for _, difference := range differences {
				t.Error(difference)
			}
			t.Logf("%s: %d cases, %d differ", name, cases, len(differences))
		})
	}
}

// TestVectorsNoticeAChangedAnswer turns every expected answer of the sample
// around: a runner that compares nothing would not see it.
func TestVectorsNoticeAChangedAnswer(t *testing.T) {
	t.Parallel()
	t.Run("jsonb-contains.jsonl", func(t *testing.T) {
		t.Parallel()
		forEachLine(t, "testdata/jsonb-contains.jsonl", func(line []byte) {
			require.NoError(t, checkContains(line))
			var c containsCase
			require.NoError(t, json.Unmarshal(line, &c))
			c.Expect = !c.Expect
			require.Error(t, checkContains(mustMarshal(t, c)), c.Name)
		})
	})
	t.Run("entries-where.jsonl", func(t *testing.T) {
		t.Parallel()
		forEachLine(t, "testdata/entries-where.jsonl", func(line []byte) {
			require.NoError(t, checkWhere(line))
			var c whereCase
			require.NoError(t, json.Unmarshal(line, &c))
			if len(c.ExpectIDs) > 0 {
				c.ExpectIDs = c.ExpectIDs[1:]
			} else {
				c.ExpectIDs = []int64{c.Entries[0].ID}
			}
			require.Error(t, checkWhere(mustMarshal(t, c)), c.Name)
		})
	})
}

// TestRecordedAnswers runs what PostgreSQL 15.18 answered to the SQL that
// Sequelize 4.44.4 writes for randomly made clauses, row by row: those that
// match, those on which the statement failed, or that Sequelize or PostgreSQL
// took the clause at all.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	cases, differences := runVectors(t, "testdata/recorded.jsonl", checkRecorded)
	for _, difference := range differences {
		t.Error(difference)
	}
	t.Logf("recorded.jsonl: %d cases, %d differ", cases, len(differences))
}

type containsCase struct {
	Name   string          `json:"name"`
	Doc    json.RawMessage `json:"doc"`
	Filter json.RawMessage `json:"filter"`
	Expect bool            `json:"expect"`
}

func checkContains(line []byte) error {
	var c containsCase
	if err := json.Unmarshal(line, &c); err != nil {
		return err
	}
	got, err := rowquery.ContainsRaw(c.Doc, c.Filter)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	if got != c.Expect {
		return fmt.Errorf("%s: %s @> %s gives %t", c.Name, c.Doc, c.Filter, got)
	}
	return nil
}

type whereCase struct {
	Name      string          `json:"name"`
	Entries   []entry         `json:"entries"`
	Where     json.RawMessage `json:"where"`
	ExpectIDs []int64         `json:"expectIds"`
	// Fails and Refused are in recorded answers only: rows on which
	// PostgreSQL fails, and clauses that it or Sequelize does not take.
	Fails   []int64 `json:"fails,omitempty"`
	Refused bool    `json:"refused,omitempty"`
}

type entry struct {
	ID           int64           `json:"id"`
	DataSourceID int64           `json:"dataSourceId"`
	Order        *int64          `json:"order"`
	Data         json.RawMessage `json:"data"`
	CreatedAt    *time.Time      `json:"createdAt"`
	UpdatedAt    *time.Time      `json:"updatedAt"`
	DeletedAt    *time.Time      `json:"deletedAt"`
}

func (e entry) row() (*rowquery.Row, error) {
	data, err := decode(e.Data)
	return &rowquery.Row{
		ID: e.ID, DataSourceID: e.DataSourceID, Order: e.Order, Data: data,
		CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, DeletedAt: e.DeletedAt,
	}, err
}

func checkWhere(line []byte) error {
	c, ids, fails, err := runWhere(line)
	if err == nil && (!slices.Equal(ids, c.ExpectIDs) || len(fails) > 0) {
		err = fmt.Errorf("where %s gives %v, fails on %v; want %v", c.Where, ids, fails, c.ExpectIDs)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

func checkRecorded(line []byte) error {
	c, ids, fails, err := runWhere(line)
	_, isRefusal := errors.AsType[*rowquery.Error](err)
	switch {
	case c.Refused && isRefusal:
		return nil
	case c.Refused:
		err = fmt.Errorf("where %s is taken", c.Where)
	case err == nil && (!slices.Equal(ids, c.ExpectIDs) || !slices.Equal(fails, c.Fails)):
		err = fmt.Errorf("where %s gives %v, fails on %v; want %v and %v", c.Where, ids, fails, c.ExpectIDs, c.Fails)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

func runWhere(line []byte) (c whereCase, ids, fails []int64, err error) {
	if err = json.Unmarshal(line, &c); err != nil {
		return c, nil, nil, err
	}
	where, err := decode(c.Where)
	if err != nil {
		return c, nil, nil, err
	}
	filter, err := rowquery.Compile(where)
	if err != nil {
		return c, nil, nil, err
	}
	for _, e := range c.Entries {
		row, err := e.row()
		if err != nil {
			return c, nil, nil, err
		}
		matched, err := filter.Match(row)
		switch {
		case err != nil:
			fails = append(fails, e.ID)
		case matched:
			ids = append(ids, e.ID)
		}
		if err == nil && matched && !covers(filter.Bounds(), row) {
			return c, nil, nil, fmt.Errorf("entry %d matches outside of the bounds", e.ID)
		}
	}
	slices.Sort(ids)
	slices.Sort(fails)
	return c, ids, fails, nil
}

// runVectors checks each line of a file.
func runVectors(t *testing.T, file string, check func([]byte) error) (cases int, differences []string) {
	t.Helper()
	forEachLine(t, file, func(line []byte) {
		cases++
		if err := check(line); err != nil {
			differences = append(differences, err.Error())
		}
	})
	require.NotZero(t, cases, "%s holds no case", file)
	return cases, differences
}

func forEachLine(t testing.TB, file string, do func([]byte)) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		if len(lines.Bytes()) > 0 {
			do(lines.Bytes())
		}
	}
	require.NoError(t, lines.Err())
}

func vectorDir(t *testing.T) string {
	t.Helper()
	root, err := os.Getwd()
	require.NoError(t, err)
	for !exists(filepath.Join(root, "go.mod")) {
		parent := filepath.Dir(root)
		require.NotEqual(t, root, parent, "no go.mod above the test")
		root = parent
	}
	if dir := os.Getenv("FLIPLET_CHAT_VECTORS"); dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		return dir
	}
	if dir := filepath.Join(root, "..", "shared", "vectors"); exists(dir) {
		return dir
	}
	return "testdata"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// decode reads JSON the way the server does.
func decode(text []byte) (v any, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&v)
	return v, err
}

func mustMarshal(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}
