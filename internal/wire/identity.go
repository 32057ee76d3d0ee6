package wire

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// LegacyUserID makes the flUserId of a contact that has none and no primary key. The
// documentation says that a random one is stored. This one is a UUID derived from the
// row, so that devices that log in the same contact for the first time at the same
// moment agree.
func LegacyUserID(contactsDataSourceID, entryID int64) string {
	name := "fliplet-chat:" + strconv.FormatInt(contactsDataSourceID, 10) + ":" + strconv.FormatInt(entryID, 10)
	return uuid.NewHash(sha256.New(), uuid.NameSpaceURL, []byte(name), 8).String()
}

// DeriveUserID makes the flUserId of a contact that has none yet. It is documented
// that it is derived from the primary key's column, but not how. This one is an HMAC
// of the value, so that two clients that meet the same new contact agree; without a
// value it is random. A stored flUserId must not be replaced: the contact's history
// would be orphaned.
func DeriveUserID(contactsDataSourceID int64, primaryKeyValue string) string {
	v := strings.ToLower(strings.TrimSpace(primaryKeyValue))
	if v == "" {
		return uuid.NewString()
	}
	mac := hmac.New(sha256.New, []byte("fliplet-chat:"+strconv.FormatInt(contactsDataSourceID, 10)))
	mac.Write([]byte(v))
	return hex.EncodeToString(mac.Sum(nil))[:32]
}

// NewUserToken makes a secret chat token of 32 random bytes, this SDK's choice.
func NewUserToken() string {
	b := make([]byte, 32)
	rand.Read(b) //nolint:errcheck // never returns an error
	return hex.EncodeToString(b)
}
