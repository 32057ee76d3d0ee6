package conform

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The journal of a run has a line for everything that the run makes, on the disk before the
// request that makes it. So whatever a killed run leaves behind has a name that is in it. Names have a
// random part of 128 bits, so nothing else is called so.

// kind is what can be made.
type kind string

const (
	dataSource kind = "data source"
	mediaFile  kind = "file"
)

// line is one of a journal.
type line struct {
	Do   string `json:"do"` // run, make, made, gone
	Run  string `json:"run,omitempty"`
	Host string `json:"host,omitempty"`
	App  int64  `json:"app,omitempty"`
	Kind kind   `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
	ID   int64  `json:"id,omitempty"`
}

// suffix is that of journals.
const suffix = ".journal"

// journal is an open one. It is locked, so that a sweep leaves a run alone that is under way.
type journal struct {
	f     *os.File
	head  line
	lines []line
}

// createJournal begins one in a directory, which it makes if there is none.
func createJournal(dir string, head line) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, notThere(err)
	}
	name := filepath.Join(dir, head.Run+suffix)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600) //nolint:gosec // the user names the directory
	if err != nil {
		return nil, notThere(err)
	}
	j := &journal{f: f, head: head}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	head.Do = "run"
	if err := j.write(head); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, syncDir(dir)
}

// notThere says what to do about a directory that cannot be used. A full disk is nobody's mistake.
func notThere(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("journal: %w", err)
	}
	return &UsageError{fmt.Sprintf("--journals: %s; name a directory that can be written", err)}
}

// errBusy: a run is under way that writes to the journal.
var errBusy = errors.New("the run is under way")

// openJournal reads one that a run has left behind.
func openJournal(name string) (*journal, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0o600) //nolint:gosec // found in the user's directory
	if err != nil {
		return nil, err
	}
	j := &journal{f: f}
	if err := lock(f); err != nil {
		return nil, errors.Join(errBusy, f.Close())
	}
	if err := j.read(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

func (j *journal) read() error {
	r := bufio.NewReader(j.f)
	foreign := &UsageError{fmt.Sprintf("--journals: %s: not a journal of flchat conform; move it away", j.f.Name())}
	for n := 1; ; n++ {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			// A line without an end was being written: what it speaks of was not made yet.
			if len(text) > 0 {
				if _, err := j.f.Write([]byte{'\n'}); err != nil { // the next one begins anew
					return err
				}
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", j.f.Name(), err)
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			if len(bytes.TrimSpace(text)) == 0 || n > 1 {
				continue // the rest of one that was being written
			}
			return foreign
		}
		if n == 1 {
			if l.Do != "run" || l.Run == "" {
				return foreign
			}
			j.head = l
			continue
		}
		j.lines = append(j.lines, l)
	}
}

// write returns when the line is on the disk.
func (j *journal) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if l.Do != "run" {
		j.lines = append(j.lines, l)
	}
	return nil
}

// left is what was made, or may have been, and is not known to be gone: the newest first.
func (j *journal) left() []line {
	var out []line
	for _, l := range j.lines {
		switch l.Do {
		case "make":
			out = append(out, l)
		case "made":
			for i := range out {
				if out[i].Kind == l.Kind && out[i].Name == l.Name {
					out[i].ID = l.ID
				}
			}
		case "gone":
			out = slices.DeleteFunc(out, func(o line) bool { return o.Kind == l.Kind && o.Name == l.Name })
		}
	}
	slices.Reverse(out)
	return out
}

// close keeps the journal if anything is left.
func (j *journal) close() error {
	if len(j.left()) > 0 {
		return j.f.Close()
	}
	return errors.Join(os.Remove(j.f.Name()), j.f.Close())
}

// journals are the names of those in a directory.
func journals(dir string) ([]string, error) {
	found, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range found {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, err
}
