// Package patch builds variants of this module for the -overlay flag of the go
// command: it writes changed copies of files, not the files themselves.
//
// Tests use it to prove that they notice a defect. The defect is an [Edit] of the
// production code, kept beside the test. An edit whose text is gone is an error, so
// that no test relies on code that has changed:
//
//	overlay, err := patch.Overlay(root, t.TempDir(), edits)
//	…
//	cmd := exec.Command("go", "test", "-overlay="+overlay, "./internal/feed")
package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Edit replaces one piece of text in one file.
type Edit struct {
	File string // from the root of the module, with slashes
	Old  string // what must be in the file exactly once
	New  string
}

// Root returns the directory of the go.mod above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("patch: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("patch: no go.mod above the working directory")
		}
		dir = parent
	}
}

// Apply returns the files that the edits change, as they are afterwards, by name.
// Edits of one file follow each other. An edit that does not apply, because its
// text is not there exactly once, fails all of them.
func Apply(root string, edits []Edit) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range edits {
		text, ok := files[e.File]
		if !ok {
			if !filepath.IsLocal(filepath.FromSlash(e.File)) {
				return nil, fmt.Errorf("patch: %s is not a file of the module", e.File)
			}
			content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, fmt.Errorf("patch: %w", err)
			}
			text = string(content)
		}
		if e.Old == "" || e.Old == e.New {
			return nil, fmt.Errorf("patch: the edit of %s changes nothing", e.File)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("patch: the edit no longer applies: %s has this text %d times, not once:\n%s", e.File, n, e.Old)
		}
		files[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return files, nil
}

// Overlay writes the changed files into a directory, beside a file for the
// -overlay flag, and returns the path of the latter. It writes nothing when an
// edit does not apply.
func Overlay(root, dir string, edits []Edit) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("patch: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("patch: %w", err)
	}
	files, err := Apply(root, edits)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string, len(files))
	for name, text := range files {
		// Two packages may have files of one name.
		changed := filepath.Join(dir, strconv.Itoa(len(replace))+"-"+filepath.Base(name))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("patch: %w", err)
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = changed
	}
	text, err := json.Marshal(struct{ Replace map[string]string }{replace})
	if err != nil {
		return "", fmt.Errorf("patch: %w", err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return "", fmt.Errorf("patch: %w", err)
	}
	return overlay, nil
}
