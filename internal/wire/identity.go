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

// LegacyUserID makes the flUserId of a contact that has none yet, where there is
// no primary key. Documented: a random one is stored. Ours is a UUID that depends
// on the row alone, so that devices which log the same contact in for the first
// time at the same moment agree, whoever's write is the last.
func LegacyUserID(contactsDataSourceID, entryID int64) string {
	name := "fliplet-chat:" + strconv.FormatInt(contactsDataSourceID, 10) + ":" + strconv.FormatInt(entryID, 10)
	return uuid.NewHash(sha256.New(), uuid.NameSpaceURL, []byte(name), 8).String()
}

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
