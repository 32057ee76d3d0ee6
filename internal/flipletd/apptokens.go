package flipletd

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// This file is the tokens of apps and organizations as the API lists, makes and deletes
// them. To the API a token is a user: one without a person.

// tokenUser is that user.
func (c *call) tokenUser(t *credential) map[string]any {
	return map[string]any{
		"id": t.id, "firstName": t.name, "lastName": nil, "fullName": t.name, "email": t.email(), "type": t.userType(),
	}
}

// listAppTokens serves the API tokens of the app of the path, or of all that the caller
// sees. They are documented to come with their secret, so an app's own token, which is in
// every page, does not get them.
func (c *call) listAppTokens() error {
	if c.cred.kind == AppToken {
		return forbidden("This needs an API token, or one of a user or organization.")
	}
	kind := orElse(c.param("type"), "appToken")
	wanted := int64(0)
	if len(c.args) > 0 {
		a, err := c.app()
		if err != nil {
			return err
		}
		wanted = a.id
	}
	list := []any{}
	for _, t := range c.srv.people.credentials() {
		a := c.srv.people.app(t.appID)
		if t.kind != APIToken || t.userType() != kind || a == nil || !c.seesApp(a) || wanted != 0 && a.id != wanted {
			continue
		}
		user := c.tokenUser(t)
		user["auth_token"], user["appId"] = t.token, a.id
		list = append(list, user)
	}
	if err := c.sortUsers(list); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"appTokens": list})
}

// listTokens serves the API tokens of all apps that a user of Studio sees, without their
// secrets: a rule names a token by its id.
func (c *call) listTokens() error {
	if err := c.edits(); err != nil {
		return err
	}
	list := []any{}
	for _, t := range c.srv.people.credentials() {
		a := c.srv.people.app(t.appID)
		if t.kind != APIToken || a == nil || !c.seesApp(a) {
			continue
		}
		user := c.tokenUser(t)
		user["apps"] = []any{map[string]any{"id": a.id, "name": a.name}}
		list = append(list, user)
	}
	if err := c.sortUsers(list); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"tokens": list})
}

// sortUsers brings a list into the order that the query asks for, by name otherwise.
func (c *call) sortUsers(list []any) error {
	order, direction := orElse(c.param("order"), "firstName"), strings.ToUpper(orElse(c.param("direction"), "ASC"))
	if !slices.Contains([]string{"id", "firstName", "email", "type"}, order) {
		return badRequest("Tokens cannot be ordered by %q.", order)
	}
	if direction != "ASC" && direction != "DESC" {
		return badRequest("direction must be ASC or DESC.")
	}
	slices.SortStableFunc(list, func(a, b any) int {
		if direction == "DESC" {
			a, b = b, a
		}
		x, y := a.(map[string]any)[order], b.(map[string]any)[order]
		if n, ok := x.(int64); ok {
			return cmp.Compare(n, y.(int64))
		}
		return strings.Compare(x.(string), y.(string))
	})
	return nil
}

// createAppToken makes an API token of an app, for a user of Studio.
func (c *call) createAppToken() error {
	a, err := c.app()
	if err != nil {
		return err
	}
	if err := c.edits(); err != nil {
		return err
	}
	t, err := c.makeToken(&credential{kind: APIToken, appID: a.id})
	if err != nil {
		return err
	}
	user := c.tokenUser(t)
	user["auth_token"], user["appId"] = t.token, a.id
	return c.value(http.StatusCreated, map[string]any{"appToken": user})
}

// deleteAppToken revokes an API token of an app.
func (c *call) deleteAppToken() error {
	a, err := c.app()
	if err != nil {
		return err
	}
	if err := c.edits(); err != nil {
		return err
	}
	return c.revokeToken(func(t *credential) bool { return t.kind == APIToken && t.appID == a.id })
}

// listOrganizationTokens serves those of the organization, without the tokens themselves.
func (c *call) listOrganizationTokens() error {
	if err := c.governed(); err != nil {
		return err
	}
	list := []any{}
	for _, t := range c.srv.people.credentials() {
		if t.kind != OrganizationToken || t.orgID != c.cred.orgID {
			continue
		}
		user := c.tokenUser(t)
		user["organizationUser"] = map[string]any{
			"userId": t.id, "organizationId": t.orgID, "organizationRoleId": 3, "createdAt": timeText(t.createdAt), "updatedAt": timeText(t.createdAt),
		}
		list = append(list, user)
	}
	return c.value(http.StatusOK, map[string]any{"organizationTokens": list})
}

// createOrganizationToken makes a token, which is in this answer only.
func (c *call) createOrganizationToken() error {
	if err := c.governed(); err != nil {
		return err
	}
	t, err := c.makeToken(&credential{kind: OrganizationToken})
	if err != nil {
		return err
	}
	return c.value(http.StatusCreated, map[string]any{"token": t.token, "id": t.id, "name": t.name})
}

// deleteOrganizationToken revokes one. It answers without a body, as documented.
func (c *call) deleteOrganizationToken() error {
	if err := c.governed(); err != nil {
		return err
	}
	return c.revokeToken(func(t *credential) bool { return t.kind == OrganizationToken && t.orgID == c.cred.orgID })
}

// makeToken makes a token with the name that the body gives it.
func (c *call) makeToken(t *credential) (*credential, error) {
	fields, err := c.object()
	if err != nil {
		return nil, err
	}
	if t.name, _ = fields["name"].(string); t.name == "" {
		return nil, badRequest("name must be a text that is not empty.")
	}
	t.orgID, t.token, t.createdAt = c.cred.orgID, c.srv.random.token(), c.now
	return c.srv.people.addToken(t)
}

// revokeToken makes the token whose id the path names unknown, if it is one of these.
func (c *call) revokeToken(these func(*credential) bool) error {
	id, _ := wholeNumber(c.args[1])
	for _, t := range c.srv.people.credentials() {
		if t.id == id && these(t) {
			c.srv.people.revoke(t.token)
			c.status, c.out = http.StatusOK, c.out[:0]
			return nil
		}
	}
	return notFound("The token")
}

// governed refuses an organization that is not the token's, and tokens that do not stand
// for one.
func (c *call) governed() error {
	if id, _ := wholeNumber(c.args[0]); id != c.cred.orgID {
		return notFound("The organization")
	}
	if !c.cred.governs() {
		return forbidden("This needs a token of the organization or one of its users.")
	}
	return nil
}
