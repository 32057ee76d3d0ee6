package wire

import (
	"fmt"
	"strings"
	"time"
)

// Columns of a message row: documented, and used by Fliplet's widget.
const (
	Body         = "body"
	From         = "fromUserId"
	ReadBy       = "readBy"
	Conversation = "conversationId"
	GUID         = "guid"
	File         = "file"
	FileIDs      = "fileMediaFileId" // documented: the server adds it to an upload
	FlagDeleted  = "isDeleted"
	Edited       = "isEdited"
	// PrivateMedia marks attachments that need the conversation's key.
	PrivateMedia = "hasMediaFileWithPrivateEncryptionKey"
	FileSchema   = "_flSchema"
)

// own are the columns that name what a message is.
var own = [...]string{Body, From, ReadBy, GUID, File, FlagDeleted, FileSchema, SealedFiles, UserToken}

// MessageColumns are those without which a message cannot be read.
func MessageColumns() []string {
	return []string{Body, From, ReadBy, Conversation, GUID, File, FlagDeleted, PrivateMedia, SealedFiles}
}

// Resembles returns the column of a message that a screen or a server could take another
// for: it is spelled alike in other letters, with space around it, or as a path or form
// field. "" for none, and for the column itself.
func Resembles(name string) string {
	plain := strings.TrimSpace(name)
	if len(plain) > len("data.") && strings.EqualFold(plain[:len("data.")], "data.") {
		plain = plain[len("data."):]
	}
	plain = strings.TrimSuffix(plain, "[]")
	for _, column := range own {
		if name != column && strings.EqualFold(strings.TrimSpace(plain), column) {
			return column
		}
	}
	return ""
}

// CheckColumns refuses columns that could be taken for a message's own. Nothing protects
// what is in them.
func CheckColumns(data M) error {
	first, taken := "", ""
	for name := range data {
		if column := Resembles(name); column != "" && (taken == "" || name < first) {
			first, taken = name, column
		}
	}
	if taken == "" {
		return nil
	}
	return fmt.Errorf("column %q could be taken for %q; use that, or another name", first, taken)
}

// Columns of a contact row: documented, and used by Fliplet's widget.
const (
	UserID         = "flUserId"
	UserToken      = "flUserToken"
	SubscriptionID = "flPushSubscriptionId"
)

// TypeConversation is the type of a conversation's data source. It is documented.
const TypeConversation = "conversation"

// Deleted reports whether a row is a deleted one, given its deletedAt and columns.
func Deleted(at *time.Time, data M) bool { return at != nil || Bool(data[FlagDeleted]) }
