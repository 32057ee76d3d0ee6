package envelope_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const bodies = 1000 // each way

// node finds Node of at least the given major version, or skips the test and says why.
func node(t *testing.T, major int) string {
	t.Helper()
	longtest.Only(t, "it starts Node")
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node is not installed: that JavaScript and Go read each other was NOT checked")
	}
	version, err := exec.CommandContext(t.Context(), path, "--version").Output()
	require.NoError(t, err)
	number, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	if found, err := strconv.Atoi(number); err != nil || found < major {
		t.Skipf("Node %s is older than %d: that JavaScript and Go read each other was NOT checked", strings.TrimSpace(string(version)), major)
	}
	return path
}

func runNode(t *testing.T, node string, args ...string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), node, args...).CombinedOutput()
	require.NoError(t, err, string(output))
}

// cryptoJSModules finds the node_modules directory that holds crypto-js, or skips the test and says why.
func cryptoJSModules(t *testing.T) string {
	t.Helper()
	root := repositoryRoot(t)
	dir := os.Getenv("FLIPLET_CHAT_NODE_MODULES")
	switch {
	case dir == "":
		dir = filepath.Join(root, "docs", "js", "node_modules")
	case !filepath.IsAbs(dir):
		dir = filepath.Join(root, dir)
	}
	if !fileExists(filepath.Join(dir, "crypto-js", "package.json")) {
		t.Skip("crypto-js is not installed: that it and Go read each other was NOT checked. " +
			"Run npm install --prefix docs/js --no-package-lock, or name a node_modules directory in FLIPLET_CHAT_NODE_MODULES")
	}
	return dir
}

func TestCryptoJSAndGoReadEachOther(t *testing.T) {
	t.Parallel()
	node, modules, dir := node(t, 14), cryptoJSModules(t), t.TempDir()
	type read struct {
		Stored     string `json:"stored"`
		Passphrase string `json:"passphrase"`
	}
	type write struct {
		Text       string `json:"text"`
		Passphrase string `json:"passphrase"`
	}
	var task struct {
		Read  []read  `json:"read"`
		Write []write `json:"write"`
	}
	texts := manyTexts(bodies)
	passphrase := func(i int) string {
		return []string{"3581e5305707b61fb3931346b5826e5c", "pässwörd ✓", "x", strings.Repeat("long ", 50)}[i%4] + strconv.Itoa(i)
	}
	for i, text := range texts {
		stored, err := envelope.SealPassphrase(text, passphrase(i))
		require.NoError(t, err)
		task.Read = append(task.Read, read{stored, passphrase(i)})
		task.Write = append(task.Write, write{text, passphrase(i)})
	}
	in, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out.json")
	writeJSON(t, in, task)
	runNode(t, node, filepath.Join("testdata", "js", "cryptojs.cjs"), modules, in, out)

	var result struct{ Read, Written []string }
	readJSON(t, out, &result)
	require.Len(t, result.Read, bodies)
	require.Len(t, result.Written, bodies)
	for i, text := range texts {
		require.Equal(t, text, result.Read[i], "body %d, written by Go, read by crypto-js", i)
		got, err := envelope.OpenPassphrase(result.Written[i], passphrase(i))
		require.NoError(t, err, "body %d, written by crypto-js", i)
		require.Equal(t, text, got, "body %d, written by crypto-js, read by Go", i)
	}
	t.Logf("crypto-js read %d bodies written by Go, and Go %d written by crypto-js", bodies, bodies)
}

// sealedCase is one call of envelope.js: to open Stored, to seal Text, or to refuse Stored.
type sealedCase struct {
	KeyID          string `json:"keyId"`
	Key            string `json:"key"`
	ConversationID string `json:"conversationId"`
	GUID           string `json:"guid"`
	Sender         string `json:"sender"`
	Stored         string `json:"stored"`
	Text           string `json:"text"`
}

// exchange is what is asked of envelope.js, wherever it runs, and how its answer is judged.
type exchange struct {
	Read   []sealedCase `json:"read"`
	Write  []sealedCase `json:"write"`
	Refuse []sealedCase `json:"refuse"`
	keys   []*envelope.AEAD
	places []envelope.Binding
	first  []sealedCase // the cases at the end of Read that are of version 1
}

type exchangeResult struct {
	Read, Written, Refused, Mistakes []string
	Failure                          string
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	var e exchange
	for i, text := range append(manyTexts(bodies-1), strings.Repeat("0123456789abcde🐪", 1<<20/19)) {
		a := newAEAD(t, fmt.Sprintf("key-%d", i%7), byte(i%7))
		at := envelope.Binding{ConversationID: int64(i) + 1, GUID: fmt.Sprintf("guid %d é 👍", i), Sender: fmt.Sprintf("u-%d é", i)}
		if i%10 == 0 {
			at = envelope.Binding{ConversationID: 1<<63 - 1 - int64(i)} // past what a JavaScript number holds
		}
		stored, err := a.Seal(text, at)
		require.NoError(t, err)
		c := sealedCase{KeyID: a.KeyID(), Key: hex.EncodeToString(testKey(byte(i % 7))), ConversationID: strconv.FormatInt(at.ConversationID, 10), GUID: at.GUID, Sender: at.Sender}
		e.keys, e.places = append(e.keys, a), append(e.places, at)
		c.Stored = stored
		e.Read = append(e.Read, c)
		c.Stored, c.Text = "", text
		e.Write = append(e.Write, c)
	}
	var first []sealedCase // of version 1
	readJSON(t, filepath.Join("testdata", "version1.json"), &first)
	e.Read = append(e.Read, first...)
	e.first = first
	a := newAEAD(t, "key-a", 1)
	stored, err := a.Seal("pay 0100 to Ann.", place)
	require.NoError(t, err)
	other, err := a.Seal("pay 0100 to Bob.", place)
	require.NoError(t, err)
	for _, c := range tampered(stored, other) {
		if c.at.ConversationID <= 0 {
			continue // a mistake of the caller there, before anything is opened
		}
		e.Refuse = append(e.Refuse, sealedCase{KeyID: "key-a", Key: hex.EncodeToString(testKey(1)),
			ConversationID: strconv.FormatInt(c.at.ConversationID, 10), GUID: c.at.GUID, Sender: c.at.Sender, Stored: strings.ToValidUTF8(c.stored, "\ufffd")})
	}
	return &e
}

func (e *exchange) judge(t *testing.T, where string, got exchangeResult) {
	t.Helper()
	require.Empty(t, got.Failure)
	require.Len(t, got.Read, bodies+len(e.first))
	for i, c := range e.first {
		require.Equal(t, c.Text, got.Read[bodies+i], "version 1, case %d, opened by %s", i, where)
	}
	require.Len(t, got.Written, bodies)
	require.Len(t, got.Refused, len(e.Refuse))
	for i, c := range e.Write {
		require.Equal(t, c.Text, got.Read[i], "body %d, sealed by Go, opened by %s", i, where)
		text, err := e.keys[i].Open(got.Written[i], e.places[i])
		require.NoError(t, err, "body %d, sealed by %s", i, where)
		require.Equal(t, c.Text, text, "body %d, sealed by %s, opened by Go", i, where)
	}
	for i, code := range got.Refused {
		require.Equal(t, "unauthentic", code, "%s: %q", where, e.Refuse[i].Stored)
	}
	assert.Equal(t, []string{"bad-key-id", "bad-key-id", "bad-key", "bad-key", "bad-conversation-id", "bad-conversation-id", "bad-conversation-id",
		"bad-conversation-id", "bad-conversation-id", "bad-guid", "bad-guid", "bad-sender", "bad-sender", "bad-text", "bad-text", "bad-text"}, got.Mistakes)
	t.Logf("envelope.js in %s opened %d bodies sealed by Go, Go opened %d sealed there, and %d tampered ones were refused there", where, bodies, bodies, len(e.Refuse))
}

func TestEnvelopeJSInNodeAndGoReadEachOther(t *testing.T) {
	t.Parallel()
	node, dir, e := node(t, 20), t.TempDir(), newExchange(t)
	in, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out.json")
	writeJSON(t, in, e)
	runNode(t, node, filepath.Join("testdata", "js", "envelope_node.mjs"), filepath.Join(repositoryRoot(t), "docs", "js", "envelope.js"), in, out)
	var got exchangeResult
	readJSON(t, out, &got)
	e.judge(t, "Node", got)
}

func TestEnvelopeJSIsShort(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(repositoryRoot(t), "docs", "js", "envelope.js"))
	require.NoError(t, err)
	assert.Less(t, strings.Count(string(source), "\n"), 150)
	assert.NotContains(t, string(source), "require(")
	assert.NotRegexp(t, `(?m)^import`, string(source))
}
