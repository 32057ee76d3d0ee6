package wire

import "time"

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
