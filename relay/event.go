package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	chat "github.com/fliplet/fliplet-chat-go"
)

// Envelope is the JSON of an event.
type Envelope struct {
	// V is the version of this form, 1. A reader leaves fields alone that it does not know.
	V int `json:"v"`
	// Kind is "message" for a new one, "update" for a change of one that was there before, such
	// as an edit or a reader, and "delete".
	Kind string `json:"kind"`
	// Conversation is the id of the conversation, ID that of the message.
	Conversation int64 `json:"conversation"`
	ID           int64 `json:"id"`
	// Message is the message as [chat.Message.MarshalJSON] writes it, with the decrypted body. It
	// is missing in a stub.
	Message json.RawMessage `json:"message,omitempty"`
	// Stub is set instead of Message if the message did not fit into the stream: read it with
	// Conversation and ID from Fliplet.
	Stub *Stub `json:"stub,omitempty"`
}

// Stub says why an event has no message.
type Stub struct {
	// Bytes is the size of the event that did not fit.
	Bytes int `json:"bytes"`
}

// EventOf makes the event of a message. Errors: those of the message's JSON.
func EventOf(m *chat.Message) (Event, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return Event{}, fmt.Errorf("relay: the JSON of message %d: %w", m.ID, err)
	}
	e := Envelope{V: 1, Kind: "message", Conversation: m.ConversationID, ID: m.ID, Message: raw}
	switch {
	case m.IsDeleted:
		e.Kind = "delete"
	case m.IsUpdate:
		e.Kind = "update"
	}
	data, err := json.Marshal(e)
	if err != nil {
		return Event{}, fmt.Errorf("relay: the JSON of message %d: %w", m.ID, err)
	}
	e.Message, e.Stub = nil, &Stub{Bytes: len(data)}
	stub, err := json.Marshal(e)
	if err != nil {
		return Event{}, fmt.Errorf("relay: the JSON of message %d: %w", m.ID, err)
	}
	sum := sha256.Sum256(data)
	return Event{Conversation: m.ConversationID, Message: m.ID, Version: hex.EncodeToString(sum[:8]), Data: data, Stub: stub}, nil
}
