//go:build linux

package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxBinary is what the program may weigh.
const maxBinary = 25 << 20

func TestTheProgramIsOneStaticFileOfLessThan25MB(t *testing.T) {
	t.Parallel()
	path, err := program()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(maxBinary))
	t.Logf("%.1f MB", float64(info.Size())/(1<<20))
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		assert.NotEqual(t, elf.PT_INTERP, p.Type, "it needs no loader")
	}
	libraries, err := f.ImportedLibraries()
	require.NoError(t, err)
	assert.Empty(t, libraries)
}

// TestTheREADMEShowsFlchat runs the line of the README.
func TestTheREADMEShowsFlchat(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	_, block, ok := strings.Cut(string(readme), "```console\n")
	require.True(t, ok)
	lines := strings.SplitN(block, "\n", 4)
	args := regexp.MustCompile(`^\$ go run -C cmd/flchat \. (.*?)\s+#`).FindStringSubmatch(lines[2])
	require.NotNil(t, args, "its third line: %s", lines[2])
	r := callWith(t, nil, append(strings.Fields(args[1]), "-o", "text")...)
	assert.Equal(t, 0, r.code, r.errs)
	assert.Contains(t, r.out, "11 green", "%s", r.out)
}

func TestCompletionsWorkInBash(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash: its completion was NOT checked")
	}
	script := filepath.Join(t.TempDir(), "flchat.bash")
	require.NoError(t, os.WriteFile(script, []byte(callWith(t, nil, "completion", "bash").out), 0o600))
	for typed, want := range map[string]string{
		"flchat un":                  "unread",
		"flchat tail --s":            "--since",
		"flchat tail --no":           "--no-color --no-follow",
		"flchat tail -o ":            "auto text json",
		"flchat --region ":           "eu us ca",
		"flchat --region us do":      "doctor",
		"flchat completion ":         "bash zsh fish",
		"flchat tail --since ":       "",
		"flchat send --token-file /": "/",
	} {
		out := shellOutput(t, shell, "-c", `source "$1"; COMP_WORDS=($2); [[ $2 == *' ' ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _flchat; echo "${COMPREPLY[@]}"`, "bash", script, typed)
		if want == "/" {
			assert.Contains(t, out, "/", typed)
			continue
		}
		assert.Equal(t, want, strings.TrimSpace(out), typed)
	}
}

func TestCompletionsAreReadByOtherShells(t *testing.T) {
	t.Parallel()
	for shell, check := range map[string]string{
		"zsh":  `autoload -U compinit; compinit -u -D; source "$1"; whence -w _flchat`,
		"fish": `source $argv[1]; complete -C 'flchat tail --sin'; complete -C 'flchat do'; complete -C 'flchat tail -o '`,
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip("there is no " + shell + ": its completion was NOT checked")
			}
			script := filepath.Join(t.TempDir(), "flchat."+shell)
			require.NoError(t, os.WriteFile(script, []byte(callWith(t, nil, "completion", shell).out), 0o600))
			args := []string{"-c", check, "zsh", script}
			if shell == "fish" {
				args = []string{"-c", check, script}
			}
			out := shellOutput(t, path, args...)
			if shell == "zsh" {
				assert.Contains(t, out, "_flchat: function")
				return
			}
			for _, want := range []string{"--since\t", "doctor\t", "json"} {
				assert.Contains(t, out, want)
			}
		})
	}
}

func TestTheManualPageIsGoodRoff(t *testing.T) {
	t.Parallel()
	page := callWith(t, nil, "man").out
	for _, want := range []string{".TH FLCHAT 1", `\-\-since`, "FLIPLET_TOKEN", "EXIT STATUS"} {
		assert.Contains(t, page, want)
	}
	path, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("there is no groff: whether it formats was NOT checked")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-man", "-ww", "-Tutf8", "-P-cbou")
	cmd.Stdin = strings.NewReader(page)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run())
	assert.Empty(t, errs.String())
	assert.Regexp(t, `(?m)^ +flchat tail --local$`, out.String())
}

func shellOutput(t testing.TB, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	home := t.TempDir()
	cmd.Env = []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home, "PATH=" + os.Getenv("PATH"), "TERM=dumb"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// TestHelpNeedsNothing has no home, no network, no settings, and a file of configuration that is damaged.
func TestHelpNeedsNothing(t *testing.T) {
	t.Parallel()
	path, err := program()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c.json"), []byte("{"), 0o600))
	for _, args := range [][]string{{"-h"}, {"--help"}, {"tail", "-h"}, {"completion", "-h"}} {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = []string{"FLCHAT_CONFIG=" + filepath.Join(dir, "c.json")}
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "Usage: flchat")
	}
	cmd := exec.CommandContext(t.Context(), path, "conversations", "--local")
	cmd.Env = []string{} // also no home
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.True(t, json.Valid(bytes.TrimSpace(out)), "%s", out)
}
