package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAPageIsWrittenIntoAPipeAndThroughALinkAndReplacesNeither(t *testing.T) {
	c := newChats(t)
	dir := t.TempDir()
	file, page, link, pipe := filepath.Join(dir, "a.flchat"), filepath.Join(dir, "page.html"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	code, _, errs := c.run("export", file)
	require.Zero(t, code, errs)

	require.NoError(t, os.WriteFile(page, []byte("old"), 0o600))
	require.NoError(t, os.Symlink(page, link))
	code, _, errs = c.run("view", file, "--html", link)
	require.Zero(t, code, errs)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink, "the link was replaced")
	want, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(want), "message 4")

	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that nothing waits, also if nobody writes
	require.NoError(t, err)
	got := make(chan []byte)
	go func() {
		text := make([]byte, len(want))
		n, _ := io.ReadFull(reader, text)
		got <- text[:n]
	}()
	code, _, errs = c.run("view", file, "--html", pipe)
	assert.Zero(t, code, errs)
	info, err = os.Lstat(pipe)
	require.NoError(t, err)
	if assert.NotZero(t, info.Mode()&os.ModeNamedPipe, "the pipe was replaced") {
		assert.Len(t, <-got, len(want))
	}
	require.NoError(t, reader.Close())

	code, _, errs = c.run("view", file, "--html", dir)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "is a folder")
}
