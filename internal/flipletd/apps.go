package flipletd

import (
	"cmp"
	"net/http"
	"slices"
)

// appFields is an app as the API describes it. The user's role is there for
// user tokens only.
func (c *call) appFields(a *app) map[string]any {
	fields := map[string]any{
		"id": a.id, "name": a.name, "icon": nil, "version": 1, "settings": map[string]any{}, "releases": []any{},
		"dependencies": []any{}, "slug": nil, "createdAt": timeText(a.createdAt), "updatedAt": timeText(a.updatedAt),
		"deletedAt": nil, "organizationId": a.orgID, "startingPageId": nil, "productionAppId": nullable(a.productionID),
		"dataSourcesInUse": c.st.inUse(a.id),
	}
	if c.cred.studio() {
		fields["appUser"] = map[string]any{"appRoleId": 1, "appId": a.id, "userId": c.cred.userID}
	}
	return fields
}

// inUse names the data sources of an app, by id. The caller holds the store's lock.
func (st *store) inUse(appID int64) []any {
	list := []any{}
	for _, s := range st.sorted() {
		if m := s.meta; m.appID == appID && m.deletedAt.IsZero() {
			list = append(list, map[string]any{"id": m.id, "name": m.name})
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

func (c *call) getApp() error {
	id, _ := wholeNumber(c.args[0])
	a := c.srv.people.app(id)
	if a == nil || !c.seesApp(a) {
		return notFound("The app")
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	return c.value(http.StatusOK, map[string]any{"app": c.appFields(a)})
}

// listAppTokens serves the tokens of the apps that the token sees, without the tokens
// themselves.
func (c *call) listAppTokens() error {
	return c.tokenList(func(t *credential) bool {
		a := c.srv.people.app(t.appID)
		return t.kind == APIToken && a != nil && c.seesApp(a)
	})
}

// listOrganizationTokens serves those of the organization.
func (c *call) listOrganizationTokens() error {
	if err := c.governed(); err != nil {
		return err
	}
	return c.tokenList(func(t *credential) bool { return t.kind == OrganizationToken && t.orgID == c.cred.orgID })
}

func (c *call) tokenList(wanted func(*credential) bool) error {
	list := []any{}
	for _, t := range c.srv.people.credentials() {
		if wanted(t) {
			list = append(list, map[string]any{"id": t.id, "name": t.name, "appId": nullable(t.appID)})
		}
	}
	return c.value(http.StatusOK, map[string]any{"tokens": list})
}

// createOrganizationToken makes a token, which is in this answer only.
func (c *call) createOrganizationToken() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	if err := c.governed(); err != nil {
		return err
	}
	name, _ := fields["name"].(string)
	if name == "" {
		return badRequest("name must be a text that is not empty.")
	}
	t, err := c.srv.people.addToken(&credential{kind: OrganizationToken, name: name, orgID: c.cred.orgID, token: c.srv.random.token()})
	if err != nil {
		return err
	}
	return c.value(http.StatusCreated, map[string]any{"token": t.token, "id": t.id, "name": t.name})
}

// governed refuses an organization that is not the token's, and tokens that do not stand
// for one.
func (c *call) governed() error {
	if id, _ := wholeNumber(c.args[0]); id != c.cred.orgID {
		return notFound("The organization")
	}
	if !c.cred.governs() {
		return &refusal{status: http.StatusForbidden, code: "forbidden", message: "This needs a token of the organization or one of its users."}
	}
	return nil
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
	id, _ := wholeNumber(c.args[0])
	if a := c.srv.people.app(id); a == nil || !c.seesApp(a) {
		return notFound("The app")
	}
	return c.value(http.StatusOK, map[string]any{"pages": []any{}})
}

// listWidgets and listAssets: there are no widgets to install here.
func (c *call) listWidgets() error { return c.value(http.StatusOK, map[string]any{"widgets": []any{}}) }
func (c *call) listAssets() error  { return c.value(http.StatusOK, map[string]any{"assets": []any{}}) }
