package wire

import "encoding/json"

// PushHooks are the hooks of a new conversation: with push notifications, the
// server tells the other participants of an unread message (documented).
func PushHooks(appID int64, push bool) json.RawMessage {
	if !push {
		return json.RawMessage("[]")
	}
	b, _ := json.Marshal([]M{{"runOn": []string{"insert"}, "type": "push-message", "appId": appID}}) // plain values always marshal
	return b
}

// ConversationRules let every app user in: who may see a conversation is decided
// by its participants (documented for channels).
func ConversationRules() json.RawMessage {
	return json.RawMessage(`[{"type":["select","insert","update","delete"],"allow":"all"}]`)
}

// ByParticipant is the filter on definitions that finds a user's conversations.
func ByParticipant(userID string) M { return M{Participants: []string{userID}} }

// ByPublic is the filter on definitions that finds channels (documented).
func ByPublic() M { return M{Group: M{public: true}} }
