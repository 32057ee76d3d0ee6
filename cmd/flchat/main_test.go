package main

import (
	"bytes"
	"testing"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestConversationsAreListedAsJSONInPipes(t *testing.T) {
	srv := fliplettest.New(t)
	t.Setenv("FLIPLET_TOKEN", srv.Token)
	contacts, _ := srv.AddContacts(map[string]any{"Email": "jane@example.org"})
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"conversations", "-url", srv.URL, "-contacts", "1", "-as", "Email=jane@example.org"}, nil, &out, &errs)
	assert.Equal(t, 2, code, errs.String())
	_ = contacts
	_, _, err := pty.Open()
	require.NoError(t, err)
	assert.Equal(t, 1, uniseg.StringWidth("a"))
}
