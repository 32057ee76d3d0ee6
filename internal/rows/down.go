package rows

import (
	"errors"
	"net/http"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Down reports whether an error says that the server is down, rather than something about what it
// was asked for: a 500 may be the answer to one message alone. offline: the error says that the
// server cannot be reached.
func Down(err error, offline bool) bool {
	answer, ok := errors.AsType[*datasource.Error](err)
	return (offline || datasource.Temporary(err)) && (!ok || answer.StatusCode != http.StatusInternalServerError)
}
