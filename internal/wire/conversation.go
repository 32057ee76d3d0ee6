package wire

import "encoding/json"

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
