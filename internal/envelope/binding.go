package envelope

import "encoding/binary"

// Binding names the place a body is sealed for. An envelope opens only under the binding it was sealed with, byte for
// byte, so a row that is copied to another conversation or put under another guid is refused.
type Binding struct {
	// ConversationID is the id of the conversation's data source. It must be positive to seal.
	ConversationID int64
	// GUID is the message's guid column. Empty ties the body to its conversation only: for rows that have no guid.
	GUID string
}

const lengthSize = 8 // every length, and the conversation id, is a big-endian 64-bit number

// appendField appends s with its length in front, so that no two lists of fields share an encoding.
func appendField(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(s)))
	return append(dst, s...)
}

// append appends the binding's part of the associated data, size bytes long.
func (b Binding) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.ConversationID))
	return appendField(dst, b.GUID)
}

func (b Binding) size() int { return 2*lengthSize + len(b.GUID) }
