package main

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// TestSecretsAppearNowhere runs every command in every form, also where it fails, and looks for the
// API token, the tokens of people and the keys of conversations in what it writes.
func TestSecretsAppearNowhere(t *testing.T) {
	w := newWorld(t).chatter()
	w.token(t)
	jane := w.person("jane@example.org")
	secrets := []string{canaryToken, canaryKey, "canary-person"}
	rows, err := w.srv.Client().Find(t.Context(), w.contacts, datasource.Query{Where: datasource.M{"flUserId": "u-jane"}})
	require.NoError(t, err)
	personal, _ := rows[0].Data["flUserToken"].(string)
	require.NotEmpty(t, personal)
	secrets = append(secrets, personal)
	w.srv.AddRows(w.contacts, datasourceRow("Email", "mallory@example.org", "flUserId", "u-mal", "flUserToken", "canary-person", "Full name", "Mallory"))
	_, err = jane.Message(t.Context(), w.group, chat.Draft{Body: "hello", Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}})
	require.NoError(t, err)

	check := func(what string, r result) {
		t.Helper()
		for _, s := range secrets {
			for _, form := range []string{s, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), strings.ToUpper(s)} {
				assert.NotContains(t, r.out+r.errs, form, what)
			}
		}
	}
	all := [][]string{
		{"doctor"}, {"tail", "--no-follow"}, {"tail", "--no-follow", "-c", "103"}, {"unread"}, {"unread", "--count"}, {"conversations"}, {"contacts"}, {"contacts", "mallory"},
		{"send", "-c", "102", "hello"}, {"man"}, {"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}, {"-h"}, {"doctor", "-h"}, {"tail", "--nope"},
		{"doctor", "--primary-key", "flUserToken"}, {"contacts", "--primary-key", "flUserToken", "mallory"}, {"doctor", "--as", "flUserToken=x"},
	}
	runAll := func(state string) {
		for _, args := range all {
			for _, form := range []string{"text", "json"} {
				args := append(append([]string{args[0]}, append(w.flags(), "-o", form)...), args[1:]...)
				if args[0] == "-h" {
					args = args[:1]
				}
				check(fmt.Sprint(state, args), callWith(t, strings.NewReader(""), args...))
			}
		}
	}
	runAll("all is well ")
	for name, fault := range map[string]fliplettest.Fault{
		"501":    fliplettest.Status(501),
		"echo":   fliplettest.Answer(400, `{"error":"bad","message":"token `+canaryToken+` was refused"}`),
		"portal": fliplettest.Answer(200, `<html>`+canaryToken+`</html>`),
	} {
		lever := w.srv.Always(fliplettest.AnyRoute, fault)
		runAll(name)
		lever.Off()
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"not.json": canaryToken, "list.json": `["` + canaryToken + `"]`, "wrong.json": `{"token": ["` + canaryToken + `"]}`, "typo.json": `{"tokn": "` + canaryToken + `"}`, "cut.json": `{"token": "` + canaryToken,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		r := w.call("unread", "--config", path)
		assert.Equal(t, exitUsage, r.code, name)
		check(name, r)
	}
	bad := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(bad, []byte(canaryToken+" and more\x01"), 0o600))
	r := w.call("unread", "--token-file", bad)
	assert.Equal(t, exitUsage, r.code)
	check("a file with a bad token", r)
}
