package flipletlocal

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// TestDemoIsAChatToLogInTo talks to what -seed-demo adds through package chat.
func TestDemoIsAChatToLogInTo(t *testing.T) {
	t.Parallel()
	core, err := flipletd.New(flipletd.Config{Token: "eu--local"})
	require.NoError(t, err)
	t.Cleanup(core.Close)
	contacts, err := seed(core)
	require.NoError(t, err)
	again, err := seed(core)
	require.NoError(t, err, "a second start")
	assert.Equal(t, contacts, again)
	assert.Equal(t, "Demo contacts", core.Sources()[0].Name)
	assert.Equal(t, core.Sources()[0].ID, contacts)
	require.Len(t, core.Sources(), 2)

	server := httptest.NewServer(newPage(core, ""))
	t.Cleanup(server.Close)
	login := func(email string) *chat.Chat {
		client, err := datasource.NewClient(datasource.Config{
			Token: "eu--local", BaseURL: server.URL, HTTPClient: &http.Client{Transport: server.Client().Transport},
		})
		require.NoError(t, err)
		c, err := chat.Connect(t.Context(), chat.Options{Client: client, DataSourceID: contacts, AppID: appID, PrimaryKey: "Email"})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, c.Close()) })
		_, err = c.Login(t.Context(), chat.M{"Email": email})
		require.NoError(t, err)
		return c
	}
	bob := login("bob@example.org")
	everybody, err := bob.Contacts(t.Context())
	require.NoError(t, err)
	assert.Len(t, everybody, 3)
	conversations, err := bob.Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, conversations, 1)
	assert.Equal(t, demoConversation, conversations[0].Name)
	unread, err := bob.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, unread, "the last message is new to Bob")
	_, err = bob.Message(t.Context(), conversations[0].ID, chat.Draft{Body: "At your place"})
	require.NoError(t, err)

	messages, err := login("jane@example.org").Messages(t.Context())
	require.NoError(t, err)
	bodies := map[string]bool{}
	for _, m := range messages {
		require.NoError(t, m.Err)
		bodies[m.Body] = true
	}
	for _, m := range demoMessages {
		assert.True(t, bodies[m.body], m.body)
	}
	assert.True(t, bodies["At your place"])

	eve, err := login("eve@example.org").Conversations(t.Context())
	require.NoError(t, err)
	assert.Empty(t, eve, "the conversation is not Eve's")
}
