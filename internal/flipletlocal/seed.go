package flipletlocal

import (
	"fmt"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// What -seed-demo adds. The rows are what the chats of such people leave behind,
// in the form that package chat and the public clients read.
const (
	demoContacts     = "Demo contacts"
	demoConversation = "Demo conversation"
)

var demoPeople = []map[string]any{
	{"Email": "jane@example.org", "Full name": "Jane Doe", "flUserId": "demo-jane"},
	{"Email": "bob@example.org", "Full name": "Bob Roe", "flUserId": "demo-bob"},
	{"Email": "eve@example.org", "Full name": "Eve Moe", "flUserId": "demo-eve"},
}

// demoMessages: who wrote, what, and who has read it.
var demoMessages = []struct {
	from, body string
	readBy     []any
}{
	{"demo-jane", "Hello Bob, does the local Fliplet work for you?", []any{"demo-jane", "demo-bob"}},
	{"demo-bob", "It does. Log in as me and reply 👋", []any{"demo-bob", "demo-jane"}},
	{"demo-jane", "See you at /, then.", []any{"demo-jane"}},
}

// seed adds what is missing of the demo, so that starting again with the same
// file adds nothing. It returns the id of the contacts.
func seed(core *flipletd.Server) (contacts int64, err error) {
	existing := map[string]flipletd.Source{}
	for _, s := range core.Sources() {
		existing[s.Name] = s
	}
	contacts = existing[demoContacts].ID
	if contacts == 0 {
		people := make([]any, len(demoPeople))
		for i, p := range demoPeople {
			people[i] = p
		}
		if contacts, err = core.CreateSource(map[string]any{
			"name": demoContacts, "entries": people,
			"accessRules": []any{map[string]any{"type": []any{"select", "update"}, "allow": "all", "enabled": true}},
		}); err != nil {
			return 0, fmt.Errorf("contacts: %w", err)
		}
	}
	conversation, ok := existing[demoConversation]
	if !ok {
		if conversation.ID, err = core.CreateSource(map[string]any{
			"name": demoConversation, "type": "conversation",
			"definition":  map[string]any{"participants": []any{"demo-jane", "demo-bob"}, "group": map[string]any{}},
			"accessRules": []any{map[string]any{"type": []any{"select", "insert", "update", "delete"}, "allow": "all"}},
		}); err != nil {
			return 0, fmt.Errorf("conversation: %w", err)
		}
	}
	if conversation.Live+conversation.Deleted > 0 {
		return contacts, nil
	}
	rows := make([]map[string]any, len(demoMessages))
	for i, m := range demoMessages {
		rows[i] = map[string]any{
			"body": m.body, "fromUserId": m.from, "readBy": m.readBy, "conversationId": conversation.ID,
			"guid": fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1),
		}
	}
	if _, err := core.Insert(conversation.ID, rows...); err != nil {
		return 0, fmt.Errorf("messages: %w", err)
	}
	return contacts, nil
}
