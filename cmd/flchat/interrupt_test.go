//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stuck is a pipe that nobody reads.
type stuck struct {
	reached chan struct{} // closed when somebody writes
	once    sync.Once
	end     <-chan struct{}
}

func newStuck(t *testing.T) *stuck {
	t.Helper()
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	return &stuck{reached: make(chan struct{}), end: end}
}

func (s *stuck) Write([]byte) (int, error) {
	s.once.Do(func() { close(s.reached) })
	<-s.end
	return 0, errors.New("nobody reads any more")
}

// account are the flags of Jane with her token in a file, so that tests can run side by side.
func (w *world) account() []string {
	path := filepath.Join(w.t.TempDir(), "token")
	require.NoError(w.t, os.WriteFile(path, []byte(w.srv.Token), 0o600))
	return append(w.flags(), "--token-file", path)
}

// interrupted presses Ctrl-C when reached is closed, and returns what the program says.
func interrupted(t *testing.T, reached <-chan struct{}, stdout, stderr io.Writer, args ...string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, strings.NewReader(""), stdout, stderr) }()
	select {
	case <-reached:
	case code := <-ended:
		require.FailNow(t, "it ends before", "status %d", code)
	case <-time.After(patience):
		require.FailNow(t, "it does not get there")
	}
	cancel()
	select {
	case code := <-ended:
		return code
	case <-time.After(patience):
		require.FailNow(t, "it does not end")
	}
	return 0
}

func TestCtrlCEndsWhateverWaitsForAPipeThatNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t).chatter()
	account := w.account()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-h"}, ""},
		{[]string{"man"}, ""},
		{[]string{"completion", "bash"}, ""},
		{append([]string{"tail", "-o", "text"}, account...), ""},
		{append([]string{"contacts"}, account...), ""},
		{append([]string{"send", "-c", "102", "hello"}, account...), "was sent"},
		{[]string{"doctor", "--local"}, ""},
		{[]string{"conform"}, ""},
		{[]string{"conform", "--run", "--local", "--only", "reach.user", "--report", t.TempDir()}, "the reports are written"},
		{[]string{"local", "-addr", "127.0.0.1:0"}, ""},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			t.Parallel()
			pipe := newStuck(t)
			var errs bytes.Buffer
			assert.Equal(t, exitInterrupted, interrupted(t, pipe.reached, pipe, &errs, tt.args...))
			assert.Contains(t, errs.String(), "flchat: interrupted\n")
			assert.Contains(t, errs.String(), tt.want)
		})
	}
}

func TestCtrlCEndsWhateverWaitsForAnErrorToBeRead(t *testing.T) {
	t.Parallel()
	pipe := newStuck(t)
	assert.Equal(t, exitInterrupted, interrupted(t, pipe.reached, io.Discard, pipe, "nonsense"))
}

func TestCtrlCEndsWhateverWaitsForAFileThatNobodyWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, flags := range [][]string{
		{"unread", "--token-file"}, {"unread", "--config"}, {"conform", "--api-token-file"}, {"conform", "--expect"},
	} {
		t.Run(flags[1], func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "fifo")
			require.NoError(t, syscall.Mkfifo(path, 0o600))
			reached := make(chan struct{})
			go func() {
				for t.Context().Err() == nil {
					f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
					if err != nil { // nobody reads yet
						time.Sleep(time.Millisecond)
						continue
					}
					close(reached)
					<-t.Context().Done()
					f.Close()
				}
			}()
			var errs bytes.Buffer
			args := append(append([]string{flags[0]}, w.account()...), flags[1], path)
			assert.Equal(t, exitInterrupted, interrupted(t, reached, io.Discard, &errs, args...))
			assert.Contains(t, errs.String(), "flchat: interrupted\n")
		})
	}
}

func TestAnAttachmentThatIsAPipeIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	done := make(chan result, 1)
	go func() {
		var out, errs bytes.Buffer
		code := run(t.Context(), append(append([]string{"send", "-c", "102"}, w.account()...), "--file", path), strings.NewReader(""), &out, &errs)
		done <- result{code, out.String(), errs.String()}
	}()
	select {
	case r := <-done:
		assert.Equal(t, exitUsage, r.code)
		assert.Contains(t, r.errs, path+" is no file")
	case <-time.After(patience):
		require.FailNow(t, "it waits for somebody who writes")
	}
}

func TestACommandThatIsCutOffEndsWithinASecond(t *testing.T) {
	t.Parallel()
	assert.Less(t, grace+lastWord, time.Second)
}

// TestTailSaysHowToGoOnAsItWasCalled: what was given is given again.
func TestTailSaysHowToGoOnAsItWasCalled(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC)
	for want, args := range map[string][]string{
		"flchat tail --since 2026-01-31T12:00:00.005Z":                                               {"tail"},
		"flchat --url http://127.0.0.1:1 tail --contacts 7 --since 2026-01-31T12:00:00.005Z":         {"--url", "http://127.0.0.1:1", "tail", "--since", "1h", "--contacts", "7"},
		"flchat tail -c 102 '--as=Full name=D'\\''Arcy & Co' --since 2026-01-31T12:00:00.005Z":       {"tail", "--since=2d", "-c", "102", "--as=Full name=D'Arcy & Co"},
		"flchat tail --as 'Full name=a�b' --primary-key '' --reads --since 2026-01-31T12:00:00.005Z": {"tail", "--as", "Full name=a\x1bb", "--primary-key", "", "--reads"},
	} {
		assert.Equal(t, want, commandSince(args, at))
	}
}

// TestTailThatIsCutOffSaysHowToGoOn: the second message is held up by the pipe.
func TestTailThatIsCutOffSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t).chatter()
	pipe := newStuck(t)
	var errs bytes.Buffer
	code := interrupted(t, pipe.reached, &afterLines{pipe, 1}, &errs, append([]string{"tail"}, w.account()...)...)
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, errs.String(), "to go on: flchat tail --url "+w.srv.URL+" --contacts ")
	assert.Contains(t, errs.String(), " --as Email=jane@example.org --token-file ")
	assert.Contains(t, errs.String(), " --since 2026-01-30T18:01:00.000Z")
}

// afterLines lets some lines through.
type afterLines struct {
	*stuck
	n int
}

func (a *afterLines) Write(b []byte) (int, error) {
	if a.n--; a.n >= 0 {
		return len(b), nil
	}
	return a.stuck.Write(b)
}
