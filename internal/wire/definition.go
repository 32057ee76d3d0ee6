package wire

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Keys of a conversation's definition: documented, and used by Fliplet's widget.
const (
	Participants = "participants"
	Removed      = "removedParticipants"
	Group        = "group"
	Metadata     = "metadata"
	public       = "public"
	readOnly     = "readOnly"
)

// Definition is a conversation's definition with all fields, also unknown ones: the
// server replaces definitions whole, so a field that is not sent back is lost.
//
// The fields, with the key of bodies among them, are inside a function: package fmt
// calls no methods on what a struct does not export, but looks into no function either.
type Definition struct {
	in func() map[string]json.RawMessage // nil for the zero value
}

// of makes the definition of these fields.
func of(fields map[string]json.RawMessage) Definition {
	return Definition{func() map[string]json.RawMessage { return fields }}
}

// fields are those of the definition, not a copy; nil for the zero value.
func (d Definition) fields() map[string]json.RawMessage {
	if d.in == nil {
		return nil
	}
	return d.in()
}

// ParseDefinition reads a definition; anything but an object is an empty one.
func ParseDefinition(raw json.RawMessage) Definition {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return NewDefinition()
	}
	return of(fields)
}

// NewDefinition returns an empty definition.
func NewDefinition() Definition { return of(map[string]json.RawMessage{}) }

// JSON writes the definition.
func (d Definition) JSON() json.RawMessage {
	if len(d.fields()) == 0 {
		return json.RawMessage("{}")
	}
	b, err := json.Marshal(d.fields())
	if err != nil { // a raw field that came from a server is valid JSON
		return json.RawMessage("{}")
	}
	return b
}

// Clone copies the definition.
func (d Definition) Clone() Definition {
	out := NewDefinition()
	for k, v := range d.fields() {
		out.fields()[k] = bytes.Clone(v)
	}
	return out
}

// Value decodes one field, nil when absent.
func (d Definition) Value(key string) any {
	raw, ok := d.fields()[key]
	if !ok {
		return nil
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}

// Object decodes one field that holds an object, nil otherwise.
func (d Definition) Object(key string) M {
	m, _ := d.Value(key).(M)
	return m
}

// List decodes one field that holds a list of text.
func (d Definition) List(key string) []string { return Strings(d.Value(key)) }

// Contested reports whether more people than the sender and the user read a conversation, so
// that their marks can overwrite each other.
func (d Definition) Contested() bool { return d.Public() || len(d.List(Participants)) > 2 }

// Set replaces one field. nil removes it.
func (d Definition) Set(key string, v any) error {
	if v == nil {
		delete(d.fields(), key)
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d.fields()[key] = b
	return nil
}

// setList replaces a list, and leaves an absent list absent when it stays empty.
func (d Definition) setList(key string, list []string) {
	if _, there := d.fields()[key]; !there && len(list) == 0 {
		return
	}
	if list == nil {
		list = []string{}
	}
	d.fields()[key], _ = json.Marshal(list) // never fails for strings
}

// Has reports whether a user is a participant.
func (d Definition) Has(userID string) bool {
	return userID != "" && slices.Contains(d.List(Participants), userID)
}

// Public reports whether the conversation is a channel, as documented.
func (d Definition) Public() bool { return Bool(d.Object(Group)[public]) }

// Add makes users participants and reports whether that changed anything.
func (d Definition) Add(userIDs ...string) bool {
	members, removed := d.List(Participants), d.List(Removed)
	changed := false
	for _, id := range userIDs {
		if !slices.Contains(members, id) {
			members, changed = append(members, id), true
		}
		if i := slices.Index(removed, id); i >= 0 {
			removed, changed = slices.Delete(removed, i, i+1), true
		}
	}
	d.setList(Participants, members)
	d.setList(Removed, removed)
	return changed
}

// Remove removes users and records them, as Fliplet's widget does: a group that
// shrank to two people is not the direct chat of those two.
func (d Definition) Remove(userIDs ...string) bool {
	members, removed := d.List(Participants), d.List(Removed)
	changed := false
	for _, id := range userIDs {
		i := slices.Index(members, id)
		if i < 0 {
			continue
		}
		members, changed = slices.Delete(members, i, i+1), true
		if !slices.Contains(removed, id) {
			removed = append(removed, id)
		}
	}
	d.setList(Participants, members)
	d.setList(Removed, removed)
	return changed
}
