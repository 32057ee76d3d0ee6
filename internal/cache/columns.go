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

// ContactColumns returns a Config.Columns: what a list of people needs, their flUserId,
// and the columns with the names in also, spelled exactly so. Never the chat token.
func ContactColumns(also ...string) func(name string) bool {
	return func(name string) bool {
		if name == wire.UserToken {
			return false
		}
		return name == wire.UserID || slices.Contains(also, name) || slices.Contains(shown, plainName(name))
	}
}

func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
