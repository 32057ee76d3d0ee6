package envelope

import "encoding/binary"

// Binding names the place a body is sealed for. An envelope opens only under the binding it was sealed with, byte for
// byte, so a row that is copied to another conversation, put under another guid or given another sender is refused.
// Version 1 does not bind the sender.
type Binding struct {
	// ConversationID is the id of the conversation's data source. It must be positive to seal.
	ConversationID int64
	// GUID is the message's guid column. Empty for rows that have no guid.
	GUID string
	// Sender is the message's fromUserId column. Empty for rows that have none.
	Sender string
}

const lengthSize = 8 // every length, and the conversation id, is a big-endian 64-bit number

// appendField appends s with its length in front, so that no two lists of fields share an encoding.
func appendField(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(s)))
	return append(dst, s...)
}

// append appends the binding's part of the associated data of a version, size bytes long.
func (b Binding) append(dst []byte, version int) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.ConversationID))
	dst = appendField(dst, b.GUID)
	if version >= 2 {
		dst = appendField(dst, b.Sender)
	}
	return dst
}

func (b Binding) size(version int) int {
	n := 2*lengthSize + len(b.GUID)
	if version >= 2 {
		n += lengthSize + len(b.Sender)
	}
	return n
}
