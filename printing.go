package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Package fmt calls no methods on the values of unexported fields and prints their
// fields instead, keys included. Every exported type that leads to a Chat, a
// Conversation or a message therefore implements fmt.Formatter.

// Format prints the conversation the handle is for.
func (p Participants) Format(f fmt.State, _ rune) { formatHandle(f, "participants", p.v) }

// Format prints the conversation the handle is for.
func (n Notifications) Format(f fmt.State, _ rune) { formatHandle(f, "notifications", n.v) }

// Format prints the conversation the handle is for.
func (h ConversationMessages) Format(f fmt.State, _ rune) { formatHandle(f, "messages", h.v) }

func formatHandle(f fmt.State, what string, v *Conversation) {
	if v == nil {
		fmt.Fprintf(f, "%s of no conversation", what)
		return
	}
	fmt.Fprintf(f, "%s of conversation %d", what, v.ID)
}

// Format prints the kind of handle.
func (h Unread) Format(f fmt.State, _ rune) { fmt.Fprint(f, "unread messages") }

// Format prints the kind of handle.
func (h Channels) Format(f fmt.State, _ rune) { fmt.Fprint(f, "channels") }

// Format prints whether the stream runs.
func (s *Subscription) Format(f fmt.State, _ rune) {
	state := "running"
	select {
	case <-s.Done():
		state = "ended"
	default:
	}
	fmt.Fprintf(f, "subscription, %s", state)
}

// Format prints that there is a registry.
func (r *Registry) Format(f fmt.State, _ rune) { fmt.Fprint(f, "chat registry") }

// Format prints the file without its content and its URL, which may hold a key.
func (f File) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "file %q (%s), %d bytes", f.Name, f.ContentType, len(f.Content))
}

// MarshalJSON is what Format prints, as text: a File does not survive being stored.
func (f File) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(f)) }

// Format prints how many people the conversation is for.
func (n NewConversation) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "new conversation with %d contacts", len(n.Participants))
}

// unmarshal reads JSON with exact numbers.
func unmarshal(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}
