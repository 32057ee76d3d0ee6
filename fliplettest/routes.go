package fliplettest

import "github.com/fliplet/fliplet-chat-go/internal/flipletd"

// Route says which requests a lever acts on: one of the constants here, or any
// route as "METHOD /v1/…" in the spelling of [Server.Routes].
type Route string

// Groups of routes.
const (
	AnyRoute = Route(flipletd.AnyRoute)
	// AnyRead is every call that changes nothing. Query is one of them, although
	// it can update and delete.
	AnyRead = Route(flipletd.AnyRead)
	// AnyWrite is every other call.
	AnyWrite = Route(flipletd.AnyWrite)
)

// The calls that chats make. :ds is a data source by id or name.
const (
	ListSources  Route = "GET /v1/data-sources"
	CreateSource Route = "POST /v1/data-sources"
	GetSource    Route = "GET /v1/data-sources/:ds"
	UpdateSource Route = "PUT /v1/data-sources/:ds"
	DeleteSource Route = "DELETE /v1/data-sources/:ds"
	ListEntries  Route = "GET /v1/data-sources/:ds/data"
	GetEntry     Route = "GET /v1/data-sources/:ds/data/:entry"
	Insert       Route = "PUT /v1/data-sources/:ds/data"
	Update       Route = "PUT /v1/data-sources/:ds/data/:entry"
	Delete       Route = "DELETE /v1/data-sources/:ds/data/:entry"
	Bulk         Route = "POST /v1/data-sources/:ds/data"
	Commit       Route = "POST /v1/data-sources/:ds/commit"
	Query        Route = "POST /v1/data-sources/:ds/data/query"
	CrossSource  Route = "POST /v1/data-sources/data" // the query over all conversations of a user
	Upload       Route = "POST /v1/media/files"
	Contents     Route = "GET /v1/media/files/:file/contents/:name"
	Session      Route = "GET /v1/session"
	User         Route = "GET /v1/user"
	SignIn       Route = "POST /v1/auth/login"                       // with an e-mail address and a password
	Logs         Route = "POST /v1/organizations/:organization/logs" // the audit log
	GetLogs      Route = "GET /v1/organizations/:organization/logs"
)

// Routes lists every call that the server knows.
func (s *Server) Routes() []Route {
	names := s.core.Routes()
	out := make([]Route, len(names))
	for i, n := range names {
		out[i] = Route(n)
	}
	return out
}
