package bodies

import (
	"maps"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Withhold removes columns that a screen could take for the body. Nothing protects them.
func Withhold(columns wire.M) {
	maps.DeleteFunc(columns, func(name string, _ any) bool { return wire.Resembles(name) == wire.Body })
}
