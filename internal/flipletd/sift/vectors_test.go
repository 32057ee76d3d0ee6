package sift_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// vector is one recorded answer: which rows a clause matches, or how it fails.
type vector struct {
	Name      string
	Docs      []vectorDoc
	Where     json.RawMessage
	ExpectIDs []int64
	Error     string
}

type vectorDoc struct {
	ID   int64
	Data any
}

// differs says how the package's answer to v differs from the recorded one,
// or nothing.
func (v vector) differs() string {
	var got []int64
	filter, err := sift.Compile(v.Where)
	for _, doc := range v.Docs {
		if err != nil {
			break
		}
		var matched bool
		if matched, err = filter.Match(doc.Data); matched {
			got = append(got, doc.ID)
		}
	}
	if err != nil {
		e, ok := errors.AsType[*sift.Error](err)
		if !ok || v.Error == "" || e.Kind.String() != v.Error {
			return "failed with " + err.Error()
		}
		return ""
	}
	if v.Error != "" {
		return "did not fail with " + v.Error
	}
	if !slices.Equal(got, v.ExpectIDs) {
		text, _ := json.Marshal(got)
		return "matched " + string(text)
	}
	return ""
}

// differing returns what is wrong with which of the vectors.
func differing(vectors []vector) []string {
	var wrong []string
	for _, v := range vectors {
		if problem := v.differs(); problem != "" {
			wrong = append(wrong, v.Name+" "+problem)
		}
	}
	return wrong
}

var vectorFiles = []string{"sift.jsonl", "sift-errors.jsonl", "fliplet-filters.jsonl"}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, file := range vectorFiles {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			vectors := readVectors(t, file)
			wrong := differing(vectors)
			t.Logf("%s: %d cases, %d differ", file, len(vectors), len(wrong))
			for _, problem := range wrong {
				t.Error(problem)
			}
		})
	}
}

func TestVectorsAreCompared(t *testing.T) {
	t.Parallel()
	for _, file := range vectorFiles {
		vectors := readVectors(t, file)
		for i, v := range vectors {
			switch {
			case v.Error != "":
				vectors[i].Error = "some-other-error"
			case len(v.ExpectIDs) > 0:
				vectors[i].ExpectIDs = v.ExpectIDs[1:]
			default:
				vectors[i].ExpectIDs = []int64{-1}
			}
		}
		assert.Len(t, differing(vectors), len(vectors), "every spoilt answer of %s is noticed", file)
	}
}

// readVectors reads a file of the directory in FLIPLET_CHAT_VECTORS, else of
// the vectors beside the repository, else the sample in testdata.
func readVectors(t *testing.T, file string) []vector {
	t.Helper()
	return readVectorsIn(t, vectorDir(t), file)
}

func readVectorsIn(t testing.TB, dir, file string) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	var vectors []vector
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var v vector
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&v))
		vectors = append(vectors, v)
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, vectors)
	return vectors
}

func vectorDir(t *testing.T) string {
	t.Helper()
	root, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		require.NotEqual(t, root, parent, "no go.mod above the working directory")
		root = parent
	}
	if dir := os.Getenv("FLIPLET_CHAT_VECTORS"); dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		return dir
	}
	if dir := filepath.Join(root, "..", "shared", "vectors"); isDir(dir) {
		return dir
	}
	return "testdata"
}

func isDir(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}
