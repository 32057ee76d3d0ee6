package fliplettest

import (
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// TokenKind is what a token may do.
type TokenKind string

const (
	// UserToken is a person's in Studio: access rules do not apply, and data
	// sources can be deleted and restored.
	UserToken = TokenKind(flipletd.UserToken)
	// APIToken belongs to an app and may do what access rules grant to everybody
	// or to its id. [Server.Token] is one.
	APIToken = TokenKind(flipletd.APIToken)
	// AppToken is what a running app has: anonymous until the session is
	// authorized with a row of a data source.
	AppToken = TokenKind(flipletd.AppToken)
	// OrganizationToken belongs to the organization and to no app: it sees all of them, needs
	// grants as an APIToken does, and may read the audit log.
	OrganizationToken = TokenKind(flipletd.OrganizationToken)
)

// AddToken makes another token of the server's app and returns it with the id
// by which access rules name it.
func (s *Server) AddToken(kind TokenKind) (token string, id int64) {
	return s.AddTokenIn(s.AppID, kind)
}

// AddTokenIn makes a token of another app; see [WithApps]. It panics on a kind
// that does not exist.
func (s *Server) AddTokenIn(appID int64, kind TokenKind) (token string, id int64) {
	if kind == UserToken || kind == OrganizationToken {
		appID = 0
	}
	token, id, err := s.core.AddToken(string(kind), appID, 0, "")
	if err != nil {
		panic("fliplettest: " + err.Error())
	}
	return token, id
}

// AddTwin makes another token of whoever has this one, as for a second device: of the
// same kind, app and user. It panics when there is no such token.
func (s *Server) AddTwin(of string) (token string, id int64) {
	token, id, err := s.core.AddTwin(of, "")
	if err != nil {
		panic("fliplettest: " + err.Error())
	}
	return token, id
}

// RevokeToken makes a token unknown: 401 from now on.
func (s *Server) RevokeToken(token string) { s.core.RevokeToken(token) }

// AddUser makes a person in Studio who can log in with POST v1/auth/login, and
// returns the person's token.
func (s *Server) AddUser(email, firstName, lastName, password string) (token string) {
	token, _, err := s.core.AddUser(email, firstName, lastName, password)
	if err != nil {
		panic("fliplettest: " + err.Error()) // two random tokens alike
	}
	return token
}

// SetSession logs the session of [Server.Token] in with an entry, such as a row
// of the users that an app's login screen checks; 0 logs it out. GET v1/session
// then has the row at session.entries.dataSource.
func (s *Server) SetSession(entryID int64) {
	if err := s.core.SetSession(s.Token, entryID); err != nil {
		panic("fliplettest: " + err.Error()) // the token was revoked
	}
}

// SetWidget sets the settings that GET v1/widget-instances answers for a
// widget of the server's app, such as "com.fliplet.chat". Without it the
// answer is 404.
func (s *Server) SetWidget(name string, settings datasource.M) {
	if err := s.core.SetWidget(name, s.AppID, settings); err != nil {
		panic("fliplettest: " + err.Error())
	}
}
