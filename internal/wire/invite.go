package wire

import (
	"crypto/rand"
	"encoding/hex"
)

// inviteCode is the field of a conversation's invite code. Only the JavaScript methods
// are documented; the field and the lookup by containment are this SDK's choice.
const inviteCode = "inviteCode"

// InviteCode is the conversation's invite code, "" when it has none.
func (d Definition) InviteCode() string { return Text(d.Value(inviteCode)) }

// Invite gives the conversation a new invite code of 16 random bytes.
func (d Definition) Invite() error {
	b := make([]byte, 16)
	rand.Read(b) //nolint:errcheck // never returns an error
	return d.Set(inviteCode, hex.EncodeToString(b))
}

// ByInviteCode is the filter on definitions that finds a conversation by its code.
func ByInviteCode(code string) M { return M{inviteCode: code} }
