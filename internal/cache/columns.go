package cache

import (
	"slices"
	"strings"
	"unicode"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// shown are the columns that lists of people are made of: names and pictures, in the
// spellings of Fliplet's widgets without case, spaces and signs; then the flags by which
// Fliplet's chat widget chooses and sorts contacts.
var shown = []string{
	"name", "fullname", "firstname", "lastname", "surname", "displayname", "nickname", "username",
	"avatar", "photo", "picture", "image", "profilepicture", "profilephoto", "profileimage",
	"fldefaultchatuser", "ispinned", "isadmin", "speakers",
}

// Stores says which columns of contacts are stored: what a list of people needs, their
// flUserId, and what the caller names, spelled exactly so. Never the chat token.
func Stores(column, primaryKey string, also []string) bool {
	if column == wire.UserToken {
		return false
	}
	return column == wire.UserID || column == primaryKey || slices.Contains(also, column) || slices.Contains(shown, plainName(column))
}

func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
