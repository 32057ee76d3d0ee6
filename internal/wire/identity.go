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

// DeriveUserID makes the flUserId of a contact that has none yet.
//
// Documented: with a primary key it is derived from that column. Open: how. Ours
// is an HMAC of the value, so that two clients that meet the same new contact
// agree; without a value it is random. A stored flUserId always wins: replacing
// one would orphan the contact's history.
func DeriveUserID(contactsDataSourceID int64, primaryKeyValue string) string {
	v := strings.ToLower(strings.TrimSpace(primaryKeyValue))
	if v == "" {
		return uuid.NewString()
	}
	mac := hmac.New(sha256.New, []byte("fliplet-chat:"+strconv.FormatInt(contactsDataSourceID, 10)))
	mac.Write([]byte(v))
	return hex.EncodeToString(mac.Sum(nil))[:32]
}

// NewUserToken makes a secret chat token: 32 random bytes. Its form is open.
func NewUserToken() string {
	b := make([]byte, 32)
	rand.Read(b) //nolint:errcheck // never fails, it ends the program instead
	return hex.EncodeToString(b)
}
