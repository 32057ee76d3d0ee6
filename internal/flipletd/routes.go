package flipletd

import (
	"net/http"
	"net/url"
	"strings"
)

// route is one call of the REST API.
type route struct {
	name     Route
	method   string
	segments []string // ":…" is a parameter
	writes   bool
	calls    Calls // that it is limited with
	open     bool  // needs no token
	handle   func(*call) error
}

func get(path string, h func(*call) error) *route   { return newRoute("GET", path, false, h) }
func query(path string, h func(*call) error) *route { return newRoute("POST", path, false, h) }
func post(path string, h func(*call) error) *route  { return newRoute("POST", path, true, h) }
func put(path string, h func(*call) error) *route   { return newRoute("PUT", path, true, h) }
func del(path string, h func(*call) error) *route   { return newRoute("DELETE", path, true, h) }

func newRoute(method, path string, writes bool, h func(*call) error) *route {
	return &route{
		name: Route(method + " " + path), method: method,
		segments: strings.Split(strings.Trim(path, "/"), "/"), writes: writes, handle: h,
		calls: callsOf(path),
	}
}

func (r *route) withoutToken() *route {
	r.open = true
	return r
}

// routes in the order in which they are tried: literal segments come before
// the data source whose name they could be.
var routes = []*route{
	query("/v1/data-sources/data", (*call).acrossSources),
	get("/v1/data-sources/deleted", (*call).listDeleted),
	del("/v1/data-sources/deleted/:id", (*call).purgeSource),

	get("/v1/data-sources", (*call).listSources),
	post("/v1/data-sources", (*call).createSource),
	get("/v1/data-sources/:ds", (*call).getSource),
	put("/v1/data-sources/:ds", (*call).updateSource),
	del("/v1/data-sources/:ds", (*call).deleteSource),
	post("/v1/data-sources/:ds/restore", (*call).restoreSource),

	query("/v1/data-sources/:ds/data/query", (*call).queryEntries),
	get("/v1/data-sources/:ds/data/query", (*call).queryEntries),
	get("/v1/data-sources/:ds/data", (*call).listEntries),
	put("/v1/data-sources/:ds/data", (*call).insertEntry),
	post("/v1/data-sources/:ds/data", (*call).importEntries),
	get("/v1/data-sources/:ds/data/:entry", (*call).getEntry),
	put("/v1/data-sources/:ds/data/:entry", (*call).updateEntry),
	del("/v1/data-sources/:ds/data/:entry", (*call).deleteEntry),
	post("/v1/data-sources/:ds/commit", (*call).commitEntries),
	get("/v1/data-sources/:ds/indexes/:columns", (*call).columnIndexes),
	get("/v1/data-sources/:ds/validation-code", (*call).validationCode),
	get("/v1/data-sources/:ds/versions", (*call).listVersions),
	get("/v1/data-sources/:ds/versions/:version/data", (*call).versionEntries),
	query("/v1/data-sources/:ds/versions/:version/data", (*call).versionEntries),
	post("/v1/data-sources/:ds/versions/:version/restore", (*call).restoreVersion),

	get("/v1/media", (*call).listMedia),
	get("/v1/media/deleted", (*call).listDeletedMedia),
	post("/v1/media/files", (*call).uploadFiles),
	get("/v1/media/files/:file/contents", (*call).fileContents).withoutToken(),
	get("/v1/media/files/:file/contents/:name", (*call).fileContents).withoutToken(),
	get("/v1/media/files/:file/thumb/:name", (*call).fileContents).withoutToken(),
	get("/v1/media/files/:file/pdf", (*call).fileContents).withoutToken(),
	query("/v1/media/files/aggregate", (*call).aggregateFiles),
	get("/v1/media/zip", (*call).zipFiles),
	get("/v1/media/files/:file", (*call).getFile),
	post("/v1/media/files/:file/restore", (*call).restoreFile),
	del("/v1/media/deleted/files/:file", (*call).purgeFile),
	post("/v1/media/folders/:folder/restore", (*call).restoreFolder),
	del("/v1/media/deleted/folders/:folder", (*call).purgeFolder),
	put("/v1/media/files/:file", (*call).updateFile),
	del("/v1/media/files/:file", (*call).deleteFile),
	post("/v1/media/folders", (*call).createFolder),
	get("/v1/media/files/:file/accessRules", (*call).fileRules),
	put("/v1/media/files/:file/accessRules", (*call).setFileRules),
	get("/v1/media/folders/:folder/accessRules", (*call).folderRules),
	put("/v1/media/folders/:folder/accessRules", (*call).setFolderRules),
	get("/v1/media/apps/:app/accessRules", (*call).appRules),
	put("/v1/media/apps/:app/accessRules", (*call).setAppRules),
	get("/v1/media/organizations/:organization/accessRules", (*call).organizationRules),
	put("/v1/media/organizations/:organization/accessRules", (*call).setOrganizationRules),
	get("/v1/media/folders/:folder", (*call).getFolder),
	put("/v1/media/folders/:folder", (*call).updateFolder),
	del("/v1/media/folders/:folder", (*call).deleteFolder),

	get("/organizations/:organization/files/:file/:name", (*call).cdnContents).withoutToken(),

	get("/v1/user", (*call).getUser),
	put("/v1/user", (*call).updateUser),
	get("/v1/tokens", (*call).listTokens),
	get("/v1/organizations", (*call).listOrganizations),
	get("/v1/organizations/:organization", (*call).getOrganization),
	get("/v1/organizations/:organization/analytics", (*call).analytics),
	query("/v1/organizations/:organization/analytics", (*call).analytics),
	get("/v1/organizations/:organization/tokens", (*call).listOrganizationTokens),
	post("/v1/organizations/:organization/tokens", (*call).createOrganizationToken),
	del("/v1/organizations/:organization/tokens/:token", (*call).deleteOrganizationToken),
	get("/v1/organizations/:organization/logs", (*call).organizationLogs),
	query("/v1/organizations/:organization/logs", (*call).organizationLogs),
	get("/v1/apps", (*call).listApps),
	get("/v1/apps/tokens", (*call).listAppTokens),
	post("/v1/apps", (*call).createApp),
	get("/v1/apps/:app", (*call).getApp),
	put("/v1/apps/:app", (*call).updateApp),
	del("/v1/apps/:app", (*call).deleteApp),
	post("/v1/apps/:app/settings", (*call).updateAppSettings),
	get("/v1/apps/:app/pages", (*call).listPages),
	get("/v1/apps/:app/tokens", (*call).listAppTokens),
	post("/v1/apps/:app/tokens", (*call).createAppToken),
	del("/v1/apps/:app/tokens/:token", (*call).deleteAppToken),
	post("/v1/apps/:app/publish", (*call).publishApp),
	get("/v1/apps/:app/subscriptions", (*call).listSubscriptions),
	get("/v1/apps/:app/analytics/sessions", (*call).listAnalytics),
	get("/v1/apps/:app/notifications", (*call).listNotifications),
	query("/v1/apps/:app/notifications", (*call).listNotifications),
	put("/v1/apps/:app/notifications", (*call).createNotification),
	post("/v1/apps/:app/notifications/batch", (*call).createNotifications),
	post("/v1/apps/:app/notifications/mark-as-read", (*call).markNotifications),
	put("/v1/apps/:app/notifications/:notification", (*call).updateNotification),
	del("/v1/apps/:app/notifications/:notification", (*call).deleteNotification),
	post("/v1/communicate/email", (*call).sendEmail),
	post("/v1/communicate/email/batch", (*call).sendEmails),
	post("/v1/communicate/sms", (*call).sendSMS),
	post("/v1/communicate/sms/batch", (*call).sendSMSes),
	post("/v1/auth/login", (*call).login).withoutToken(),
	query("/v1/auth/credential-types", (*call).credentialTypes).withoutToken(),
	query("/v1/auth/forgot", (*call).forgotPassword).withoutToken(),
	query("/v1/auth/reset/:code", (*call).resetPassword).withoutToken(),
	post("/v1/auth/logout", (*call).logout),
	get("/v1/session", (*call).getSession),
	post("/v1/session/authorize/state", (*call).authorizeState),
	post("/v1/session/authorize/dataSource", (*call).authorizeDataSource),
	get("/v1/session/authorize/:passport", (*call).authorize),
	post("/v1/session/authorize/:passport", (*call).authorize),
	post("/v1/session/providers/copy", (*call).copyPassports),
	get("/v1/widgets", (*call).listWidgets).withoutToken(),
	get("/v1/widgets/assets", (*call).listAssets).withoutToken(),
	get("/v1/widget-instances", (*call).listInstances),
	get("/v1/widget-instances/:widget", (*call).getWidget),
	put("/v1/widget-instances/:widget", (*call).putWidget),
}

// unknownRoute serves every other path. Express answers 404 for a wrong method
// as well as for a wrong path.
var unknownRoute = &route{
	name: "unknown", open: true,
	handle: func(c *call) error { return notFound("The resource") },
}

// findRoute matches on escaped segments, so that a name may hold a slash.
func findRoute(r *http.Request) (*route, []string) {
	path := strings.Trim(r.URL.EscapedPath(), "/")
	segments := strings.Split(path, "/")
	for _, rt := range routes {
		if rt.method != r.Method && (r.Method != http.MethodHead || rt.method != http.MethodGet) {
			continue
		}
		if args, ok := rt.match(segments); ok {
			return rt, args
		}
	}
	return unknownRoute, nil
}

func (r *route) match(segments []string) (args []string, ok bool) {
	if len(segments) != len(r.segments) {
		return nil, false
	}
	for i, want := range r.segments {
		if want[0] == ':' {
			continue
		}
		if segments[i] != want {
			return nil, false
		}
	}
	for i, want := range r.segments {
		if want[0] != ':' {
			continue
		}
		arg, err := url.PathUnescape(segments[i])
		if err != nil || arg == "" {
			return nil, false
		}
		args = append(args, arg)
	}
	return args, true
}
