package storm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// mutants are defects that the storm has to notice: guards that are switched off.
var mutants = []struct {
	what   string
	notice string // a regular expression for what the story says
	edits  []patch.Edit
}{
	{"what may have been stored is sent again without a look-up", `doubled: jane-\d+ is stored \d+ times`, []patch.Edit{
		{
			File: "internal/outbox/attempt.go", New: "f.doubtful = false",
			Old: "f.doubtful = cfg.Doubtful(err) || kind == Send && (f.verdict == Failing || f.verdict == Refusing)",
		},
	}},
	{"a success without the row is believed", `lost: (jane|bob|eve)-[\d-]+ is not stored`, []patch.Edit{
		{File: "datasource/entries.go", Old: "\t\terr = errNoRow\n", New: "\t\terr = nil\n"},
		{
			File: "send.go", Old: "if wire.Text(row.Data[wire.GUID]) != wire.Text(write.Data[wire.GUID]) {",
			New: "if row == nil {",
		},
	}},
	{"calls follow a redirect to another host", `otherwise: \d+ requests reached another host with a token or a body`, []patch.Edit{
		{File: "datasource/transport.go", Old: "if !download {\n\t\treturn http.ErrUseLastResponse", New: "if !download {\n\t\treturn nil"},
	}},
}

func TestEveryMutantApplies(t *testing.T) {
	t.Parallel()
	root, err := patch.Root()
	require.NoError(t, err)
	for _, m := range mutants {
		_, err := patch.Apply(root, m.edits)
		assert.NoError(t, err, m.what)
	}
}

// They are played one after the other, and before the long storms.
func TestTheStormNoticesMutants(t *testing.T) {
	longtest.Only(t, "it compiles the chat anew")
	root, err := patch.Root()
	require.NoError(t, err)
	for _, m := range mutants {
		t.Run(m.what, func(t *testing.T) {
			dir := t.TempDir()
			overlay, err := patch.Overlay(root, dir, m.edits)
			require.NoError(t, err)
			program := filepath.Join(dir, "storm.exe") // a name that every system executes
			build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay="+overlay, "-o", program, "./internal/storm")
			build.Dir = root
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			play := exec.CommandContext(t.Context(), program, "-test.run", "TestStorm$", "-storm.for", "12s", "-storm.settle", "15s")
			play.Dir = dir
			play.Env = append(os.Environ(), "CHAT_LONG=0")
			out, err = play.CombinedOutput()
			require.Error(t, err, "no story notices it:\n%s", out)
			assert.Regexp(t, m.notice, string(out))
		})
	}
}
