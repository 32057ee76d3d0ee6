package wire

import "slices"

// muted is the field that lists the users who muted a conversation. Only the
// JavaScript methods are documented; the field is this SDK's choice.
const muted = "mutedParticipants"

// Muted reports whether a user muted the conversation.
func (d Definition) Muted(userID string) bool { return slices.Contains(d.List(muted), userID) }

// Mute adds a user to the mute list or takes the user out, and reports whether
// that changed anything.
func (d Definition) Mute(userID string, on bool) bool {
	list := d.List(muted)
	i := slices.Index(list, userID)
	switch {
	case on && i < 0:
		list = append(list, userID)
	case !on && i >= 0:
		list = slices.Delete(list, i, i+1)
	default:
		return false
	}
	d.setList(muted, list)
	return true
}
