package bodies

import (
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Withhold removes columns that a screen could take for the body: those that are
// spelled like it in other letters, with space around it, or as a path or form field.
// Nothing protects them.
func Withhold(columns wire.M) {
	for name := range columns {
		if name == wire.Body {
			continue
		}
		plain := strings.ToLower(strings.TrimSpace(name))
		plain = strings.TrimSuffix(strings.TrimPrefix(plain, "data."), "[]")
		if plain == wire.Body {
			delete(columns, name)
		}
	}
}
