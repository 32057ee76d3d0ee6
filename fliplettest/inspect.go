package fliplettest

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

func randomToken() string {
	raw := make([]byte, 20)
	_, _ = rand.Read(raw)
	return "eu--" + hex.EncodeToString(raw)
}

// String is the state and the last requests for a person to read. It holds no
// token, key or column value other than flUserIds.
func (s *Server) String() string {
	var b strings.Builder
	s.core.Dump(&b)
	return b.String()
}

var _ flipletd.Row
