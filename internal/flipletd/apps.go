package flipletd

import (
	"cmp"
	"net/http"
	"slices"
)

// appFields is an app as the API describes it. The user's role is there for
// user tokens only.
func (c *call) appFields(a *app) map[string]any {
	settings := a.settings
	if settings == nil {
		settings = map[string]any{}
	}
	fields := map[string]any{
		"id": a.id, "name": a.name, "icon": nil, "version": nullable(a.version), "settings": settings, "releases": []any{},
		"dependencies": []any{}, "slug": nil, "createdAt": timeText(a.createdAt), "updatedAt": timeText(a.updatedAt),
		"deletedAt": nil, "organizationId": a.orgID, "startingPageId": nil, "productionAppId": nullable(a.productionID),
		"dataSourcesInUse": c.st.inUse(a.id),
	}
	if c.cred.studio() {
		fields["appUser"] = map[string]any{"appRoleId": 1, "appId": a.id, "userId": c.cred.userID}
	}
	return fields
}

// inUse is the ids of an app's data sources. The caller holds the store's lock.
func (st *store) inUse(appID int64) []any {
	list := []any{}
	for _, s := range st.sorted() {
		if m := s.meta; m.appID == appID && m.deletedAt.IsZero() {
			list = append(list, m.id)
		}
	}
	return list
}

// seesApp: API and app tokens see their own app only, not the draft of it.
func (c *call) seesApp(a *app) bool {
	return a.orgID == c.cred.orgID && (c.cred.governs() || a.id == c.cred.appID)
}

func (c *call) listApps() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	list := []any{}
	for _, a := range c.srv.people.appList() {
		if c.seesApp(&a) {
			list = append(list, c.appFields(&a))
		}
	}
	return c.value(http.StatusOK, map[string]any{"apps": list})
}

func (d *directory) appList() []app {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return append([]app(nil), d.apps...)
}

// app is the app of the path.
func (c *call) app() (*app, error) {
	id, _ := wholeNumber(c.args[0])
	a := c.srv.people.app(id)
	if a == nil || !c.seesApp(a) {
		return nil, notFound("The app")
	}
	return a, nil
}

func (c *call) getApp() error {
	a, err := c.app()
	if err != nil {
		return err
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	return c.value(http.StatusOK, map[string]any{"app": c.appFields(a)})
}

// credentials are the tokens, by id.
func (d *directory) credentials() []*credential {
	d.mu.RLock()
	defer d.mu.RUnlock()
	list := make([]*credential, 0, len(d.tokens))
	for _, t := range d.tokens {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *credential) int { return cmp.Compare(a.id, b.id) })
	return list
}

// listPages: apps have no pages here.
func (c *call) listPages() error {
	if _, err := c.app(); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"pages": []any{}})
}

// appBody reads what a body says of an app: its name and settings, as far as they are sent.
func (c *call) appBody(needsName bool) (name string, settings map[string]any, err error) {
	fields, err := c.object()
	if err != nil {
		return "", nil, err
	}
	v, given := fields["name"]
	if name, _ = v.(string); name == "" && (given || needsName) {
		return "", nil, badRequest("name must be a text that is not empty.")
	}
	if v := fields["settings"]; v != nil {
		var ok bool
		if settings, ok = v.(map[string]any); !ok {
			return "", nil, badRequest("settings must be an object.")
		}
	}
	return name, settings, nil
}

// edits refuses what only users of Studio may do.
func (c *call) edits() error {
	if !c.cred.studio() {
		return forbidden("This needs a user of Studio.")
	}
	return nil
}

func (c *call) oneApp(status int, a *app) error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	return c.value(status, map[string]any{"app": c.appFields(a)})
}

// createApp makes an app without screens. Like all apps it is gone with the program.
func (c *call) createApp() error {
	name, settings, err := c.appBody(true)
	if err != nil {
		return err
	}
	if err := c.edits(); err != nil {
		return err
	}
	a := c.srv.people.newApp(app{orgID: c.cred.orgID, name: name, settings: settings, createdAt: c.now, updatedAt: c.now})
	return c.oneApp(http.StatusCreated, &a)
}

// updateApp changes what the body names; settings are added to those that there are.
func (c *call) updateApp() error {
	name, settings, err := c.appBody(false)
	if err != nil {
		return err
	}
	return c.changeApp(name, settings)
}

// updateAppSettings adds to the settings.
func (c *call) updateAppSettings() error {
	settings, err := c.object()
	if err != nil {
		return err
	}
	return c.changeApp("", settings)
}

func (c *call) changeApp(name string, settings map[string]any) error {
	a, err := c.app()
	if err != nil {
		return err
	}
	if err := c.edits(); err != nil {
		return err
	}
	changed := c.srv.people.change(a.id, c.now, func(a *app) {
		a.name, a.settings = orElse(name, a.name), merge(a.settings, settings)
	})
	return c.oneApp(http.StatusOK, &changed)
}

// deleteApp removes an app, and leaves its data sources to the organization's users. The
// app of the first token stays.
func (c *call) deleteApp() error {
	a, err := c.app()
	if err != nil {
		return err
	}
	if err := c.edits(); err != nil {
		return err
	}
	if a.id == c.srv.appID {
		return badRequest("The app of this server's own token cannot be deleted.")
	}
	c.srv.people.removeApp(a.id)
	return c.value(http.StatusOK, map[string]any{})
}

// publishApp counts an update of an app; there is nothing to build here.
func (c *call) publishApp() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	a, err := c.app()
	if err != nil {
		return err
	}
	release, ok := fields["release"].(map[string]any)
	if kind, _ := release["type"].(string); !ok || !slices.Contains([]string{"silent", "visible", "forced"}, kind) {
		return badRequest("release.type must be silent, visible or forced.")
	}
	version := c.srv.people.change(a.id, c.now, func(a *app) { a.version++ }).version
	return c.value(http.StatusCreated, map[string]any{
		"app": map[string]any{"id": a.id, "version": version, "updatedAt": timeText(c.now)},
	})
}

// listSubscriptions: no device registers here. API tokens are documented to be refused.
func (c *call) listSubscriptions() error {
	if _, err := c.app(); err != nil {
		return err
	}
	if !c.cred.studio() {
		return forbidden("This needs a user of Studio.")
	}
	return c.value(http.StatusOK, map[string]any{"subscriptions": []any{}})
}

// listAnalytics: nobody's visits are counted here.
func (c *call) listAnalytics() error {
	if _, err := c.app(); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"sessions": []any{}})
}

// analytics: nobody's visits are counted here.
func (c *call) analytics() error {
	if err := c.governed(); err != nil {
		return err
	}
	none := func(names ...string) map[string]any {
		stats := make(map[string]any, len(names))
		for _, name := range names {
			stats[name] = map[string]any{"count": 0, "previousPeriodCount": 0}
		}
		return stats
	}
	apps := []any{}
	for _, a := range c.srv.people.appList() {
		if c.seesApp(&a) {
			apps = append(apps, map[string]any{
				"id": a.id, "name": a.name, "createdAt": timeText(a.createdAt), "updatedAt": timeText(a.updatedAt), "publishedAt": nil,
				"publishedAppleAt": nil, "publishedGoogleAt": nil, "publishedWebAt": nil,
				"stats": none("users", "sessions", "events", "devices", "updates", "publishes"),
			})
		}
	}
	return c.value(http.StatusOK, map[string]any{
		"appSessions": []any{}, "studioSessions": []any{}, "apps": apps, "users": []any{},
		"stats": none("uniqueAppUsers", "totalAppUsers", "appSessions", "studioSessions", "studioUsers", "newStudioUsers", "appsCreated", "appsEdited", "appsPublished"),
	})
}

// getOrganization serves the token's organization.
func (c *call) getOrganization() error {
	if id, _ := wholeNumber(c.args[0]); id != c.cred.orgID {
		return notFound("The organization")
	}
	return c.value(http.StatusOK, map[string]any{"organization": c.srv.people.organizationList(c.cred.orgID)[0]})
}

// listWidgets and listAssets: there are no widgets to install here, and anybody may know.
func (c *call) listWidgets() error { return c.value(http.StatusOK, map[string]any{"widgets": []any{}}) }
func (c *call) listAssets() error {
	return c.value(http.StatusOK, map[string]any{"assets": map[string]any{}})
}
