package wire

import (
	"crypto/rand"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
)

// Author makes what the messages of a user have in common: the columns that name the
// user, and the parameters of an insert. It is made once and kept, for as long as the
// chat token stays. The zero value is ready, and safe for concurrent use.
type Author struct{ last atomic.Pointer[authorship] }

// authorship is shared by the rows of all messages, which are written and not changed.
type authorship struct {
	user, alone any // columns; alone: nobody else has read it
	userID      string
	token       string
	params      url.Values
}

func (a *Author) of(userID, token string) *authorship {
	by := a.last.Load()
	if by == nil || by.userID != userID || by.token != token {
		by = &authorship{user: userID, alone: []string{userID}, userID: userID, token: token, params: InsertParams(token)}
		a.last.Store(by)
	}
	return by
}

// Sign names the user as the sender of a row, and as the first of its readers unless it
// has the user among them.
func (a *Author) Sign(row M, userID, token string) {
	by := a.of(userID, token)
	row[From] = by.user
	readers := Strings(row[ReadBy])
	switch {
	case len(readers) == 0:
		row[ReadBy] = by.alone
	case !slices.Contains(readers, userID):
		row[ReadBy] = append([]string{userID}, readers...)
	default:
		row[ReadBy] = readers
	}
}

// Params are [InsertParams]. They must not be changed.
func (a *Author) Params(userID, token string) url.Values { return a.of(userID, token).params }

// NewGUID makes a random UUID. uuid.NewString keeps its bytes on the heap.
func NewGUID() string {
	var u uuid.UUID
	rand.Read(u[:]) //nolint:errcheck // never returns an error
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u.String()
}
