package main

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

func TestAPageDoesNotOverwriteAnArchive(t *testing.T) {
	c := newChats(t)
	dir := t.TempDir()
	file, other := filepath.Join(dir, "a.flchat"), filepath.Join(dir, "b.flchat")
	for _, path := range []string{file, other} {
		code, _, errs := c.run("export", path)
		require.Zero(t, code, errs)
	}
	link, hard := filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.Link(file, hard))
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, page := range []string{file, other, link, hard, file + "-wal", file + ".lock", filepath.Join(dir, ".", "a.flchat")} {
		code, _, errs := c.run("view", file, "--html", page)
		assert.Equal(t, exitUsage, code, page)
		assert.Contains(t, errs, "would be lost", page)
	}
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, before, after)
	code, _, errs := c.run("view", file, "--since", "2026-11-28", "--until", "2026-11-27")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "is after --until")
}

func TestAnArchiveInAnEmptyFileIsForItsOwnerAlone(t *testing.T) {
	c := newChats(t)
	file := filepath.Join(t.TempDir(), "a.flchat")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Chmod(file, 0o666)) //nolint:gosec // what others have made
	code, _, errs := c.run("export", file)
	require.Zero(t, code, errs)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, command := range []string{"verify", "view"} {
		_, _, errs = c.run(command, file)
		assert.NotContains(t, errs, "can be read by other people")
	}
	require.NoError(t, os.Chmod(file, 0o644)) //nolint:gosec // what others have made
	for _, command := range []string{"verify", "view"} {
		_, _, errs = c.run(command, file)
		assert.Contains(t, errs, "can be read by other people", command)
	}
}

func TestPeopleAreCalledTheSameInAnArchiveAsElsewhere(t *testing.T) {
	for want, data := range map[string]map[string]any{
		"Jane Doe": {"Full name": "Jane Doe", "Email": "j@example.org"},
		"Jane D":   {"FULL NAME": " Jane D ", "Email": "j@example.org"},
		"J Doe":    {"First Name": "J", "lastName": "x", "Last Name": "Doe"},
		"J":        {"displayName": "J", "Name": "other"},
		"j@x":      {"email": "j@x", "Full name": ""},
		"id":       {},
	} {
		assert.Equal(t, want, (&archive.Contact{UserID: "id", Data: data}).Name())
		if want != "id" {
			assert.Equal(t, want, contactName(data))
		}
	}
}

func TestAnArchiveWithoutItsAttachmentsSaysThatTheyAreMissing(t *testing.T) {
	c := newChats(t)
	c.server.AddRows(c.conv, datasource.M{"body": "see", "guid": "f", "file": []any{"https://cdn.fliplet.com/dot.png"}})
	file, page := filepath.Join(t.TempDir(), "a.flchat"), filepath.Join(t.TempDir(), "a.html")
	code, _, errs := c.run("export", file, "--no-files")
	require.Zero(t, code, errs)
	code, out, errs := c.run("view", file)
	require.Zero(t, code, errs)
	assert.Contains(t, out, `"url":"https://cdn.fliplet.com/dot.png","missing":"the export has not fetched it"`)
	code, _, errs = c.run("view", file, "--html", page)
	require.Zero(t, code, errs)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(text), "the export has not fetched it")
}

func TestADamagedArchiveAndAFullDiskHaveTheirStatus(t *testing.T) {
	c := newChats(t)
	file := filepath.Join(t.TempDir(), "a.flchat")
	code, _, errs := c.run("export", file)
	require.Zero(t, code, errs)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	_, err = db.Exec(`UPDATE records SET columns = '[]' WHERE kind = 'contact'`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	code, _, errs = c.run("view", file)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "is damaged")
	require.NoError(t, os.WriteFile(file, raw[:len(raw)/2], 0o600))
	code, out, errs := c.run("verify", file)
	assert.NotZero(t, code)
	assert.NotContains(t, out+errs, "flchat verify says")
	for _, cause := range []string{"database or disk is full", "sqlstore: disk I/O error (778)"} {
		assert.Equal(t, exitOther, status(archiveError(&archive.UsageError{Text: "the disk", Cause: errors.New(cause)})), cause)
	}
}
