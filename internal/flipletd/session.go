package flipletd

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// getUser serves the owner of the token. It answers app and API tokens too,
// which is why a 200 does not prove that a person is logged in.
func (c *call) getUser() error {
	return c.value(http.StatusOK, map[string]any{"user": c.user()})
}

// user is the owner of the token as an object.
func (c *call) user() map[string]any {
	if p := c.srv.people.person(c.cred.userID); p != nil {
		return p.fields(c.cred.token)
	}
	return map[string]any{
		"id": c.cred.id, "email": nil, "firstName": nil, "lastName": nil, "fullName": nil,
		"auth_token": c.cred.token, "isAdmin": false, "type": c.userType(),
	}
}

func (c *call) userType() string {
	if c.cred.kind == UserToken {
		return "user"
	}
	return c.cred.kind + "Token"
}

func (p *person) fields(token string) map[string]any {
	return map[string]any{
		"id": p.id, "email": p.email, "firstName": p.firstName, "lastName": p.lastName,
		"fullName": strings.TrimSpace(p.firstName + " " + p.lastName), "auth_token": token, "isAdmin": true,
	}
}

// person returns a user, or nil.
func (d *directory) person(id int64) *person {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i := range d.people {
		if d.people[i].id == id && id != 0 {
			p := d.people[i]
			return &p
		}
	}
	return nil
}

// brief is a user as versions show one.
func (d *directory) brief(id int64) any {
	p := d.person(id)
	if p == nil {
		return nil
	}
	f := p.fields("")
	return map[string]any{"id": p.id, "firstName": p.firstName, "lastName": p.lastName, "fullName": f["fullName"]}
}

// login answers with the user itself, as public clients read it.
func (c *call) login() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	email, _ := fields["email"].(string)
	password, _ := fields["password"].(string)
	p := c.srv.people.check(email, password)
	if p == nil {
		return &refusal{status: http.StatusUnauthorized, message: "The email or password is not correct."}
	}
	return c.value(http.StatusOK, p.fields(p.token))
}

// check finds the user with an e-mail and password.
func (d *directory) check(email, password string) *person {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i := range d.people {
		p := d.people[i]
		if p.password != "" && strings.EqualFold(p.email, strings.TrimSpace(email)) &&
			subtle.ConstantTimeCompare([]byte(p.password), []byte(password)) == 1 {
			return &p
		}
	}
	return nil
}

// logout forgets who the session is logged in as. The token stays: an API
// token never expires, and a user token may be in use elsewhere.
func (c *call) logout() error {
	c.cred.login(0)
	return c.value(http.StatusOK, map[string]any{})
}

func (c *call) listOrganizations() error {
	return c.value(http.StatusOK, map[string]any{"organizations": c.srv.people.organizationList(c.cred.orgID)})
}

func (d *directory) organizationList(id int64) []any {
	d.mu.RLock()
	defer d.mu.RUnlock()
	list := []any{}
	for _, o := range d.organizations {
		if o.id == id {
			list = append(list, map[string]any{"id": o.id, "name": o.name})
		}
	}
	return list
}

// appFields is an app as the API describes it. The user's role is there for
// user tokens only.
func (c *call) appFields(a *app) map[string]any {
	fields := map[string]any{
		"id": a.id, "name": a.name, "icon": nil, "version": 1, "settings": map[string]any{}, "releases": []any{},
		"dependencies": []any{}, "slug": nil, "createdAt": timeText(a.createdAt), "updatedAt": timeText(a.updatedAt),
		"deletedAt": nil, "organizationId": a.orgID, "startingPageId": nil, "productionAppId": nullable(a.productionID),
	}
	if c.cred.studio() {
		fields["appUser"] = map[string]any{"appRoleId": 1, "appId": a.id, "userId": c.cred.userID}
	}
	return fields
}

// seesApp: API and app tokens see their own app only, not the draft of it.
func (c *call) seesApp(a *app) bool {
	return a.orgID == c.cred.orgID && (c.cred.studio() || a.id == c.cred.appID)
}

func (c *call) listApps() error {
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
	return c.value(http.StatusOK, map[string]any{"app": c.appFields(a)})
}

// getSession serves the session of the token: who it is, and the row of a data
// source it is logged in with.
func (c *call) getSession() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	return c.value(http.StatusOK, map[string]any{"session": c.session()})
}

// session is the session as an object. The caller holds the store's lock.
func (c *call) session() map[string]any {
	user := c.user()
	user["type"] = c.userType()
	accounts, entries := map[string]any{}, map[string]any{}
	if row := c.sessionRow(); row != nil {
		entry := map[string]any{"id": row.ID, "dataSourceId": row.DataSourceID, "data": row.data()}
		accounts["dataSource"] = []any{entry}
		entries["dataSource"] = entry
	}
	return map[string]any{
		"id": c.cred.id, "auth_token": c.cred.token, "user": user,
		"client": map[string]any{"source": c.cred.kind},
		"server": map[string]any{"passports": map[string]any{"dataSource": []any{}, "saml2": []any{}, "flipletLogin": []any{}}},
		// Rows of data sources carry secrets of their own; they are the session's.
		"accounts": accounts, "entries": entries,
	}
}

// authorizeDataSource logs the session in with the row that a where clause
// finds. The path is this server's own: the real one is not public.
func (c *call) authorizeDataSource() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	id, ok := wholeNumber(fields["dataSourceId"])
	where, isObject := fields["where"].(map[string]any)
	if !ok || !isObject || len(where) == 0 {
		return badRequest("dataSourceId and where are required.")
	}
	filter, err := sift.Compile(where)
	if err != nil {
		return err
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	s, m := c.st.find(id, primary)
	if s == nil || !c.reaches(m) {
		return notFound("The data source")
	}
	var found *version
	for _, v := range s.rows {
		if !v.live() {
			continue
		}
		ok, err := c.match(filter, v.Data)
		if err != nil {
			return err
		}
		if ok {
			found = v
			break
		}
	}
	if found == nil {
		return &refusal{status: http.StatusUnauthorized, message: "No entry matches the credentials."}
	}
	c.cred.login(found.ID)
	return c.value(http.StatusOK, map[string]any{"session": c.session()})
}

// authorizeState hands out the one-time state that starts a SAML login.
func (c *call) authorizeState() error {
	return c.value(http.StatusOK, map[string]any{"state": randomHex(16)})
}
