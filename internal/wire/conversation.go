package wire

import (
	"encoding/json"
	"errors"
	"slices"
)

// NewConversation is the definition of a new conversation of these people, with a key of its own.
func NewConversation(people []string, group, metadata M, invite bool) (Definition, error) {
	def := NewDefinition()
	def.Add(people...)
	errs := []error{def.Set(Group, GroupOf(group)), def.SetBodyKey()}
	if metadata != nil {
		errs = append(errs, def.Set(Metadata, metadata))
	}
	if invite {
		errs = append(errs, def.Invite())
	}
	return def, errors.Join(errs...)
}

// Just reports whether exactly these people are in the conversation.
func (d Definition) Just(people ...string) bool {
	return slices.Equal(sortedSet(d.List(Participants)), sortedSet(people))
}

func sortedSet(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// PushHooks are the hooks of a new conversation. With push, the server notifies the
// other participants of a new message, as documented.
func PushHooks(appID int64, push bool) json.RawMessage {
	if !push {
		return json.RawMessage("[]")
	}
	b, _ := json.Marshal([]M{{"runOn": []string{"insert"}, "type": "push-message", "appId": appID}}) // plain values always marshal
	return b
}

// ConversationRules let every app user read and write; the participants decide who
// sees a conversation. They are documented for channels.
func ConversationRules() json.RawMessage {
	return json.RawMessage(`[{"type":["select","insert","update","delete"],"allow":"all"}]`)
}

// ByParticipant is the filter on definitions that finds a user's conversations.
func ByParticipant(userID string) M { return M{Participants: []string{userID}} }

// ByPublic is the filter on definitions that finds channels, as documented.
func ByPublic() M { return M{Group: M{public: true}} }
