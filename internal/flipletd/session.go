package flipletd

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// getUser serves the owner of the token. It answers app and API tokens too,
// which is why a 200 does not prove that a person is logged in.
func (c *call) getUser() error {
	answer := map[string]any{"user": c.user()}
	if c.fx.Shape.Host != "" {
		answer["host"] = c.fx.Shape.Host
	}
	return c.value(http.StatusOK, answer)
}

// user is the owner of the token as an object.
func (c *call) user() map[string]any {
	if p := c.srv.people.person(c.cred.userID); p != nil {
		return p.fields(c.cred.token)
	}
	return map[string]any{
		"id": c.cred.id, "email": c.cred.email(), "firstName": c.cred.name, "lastName": nil, "fullName": c.cred.name,
		"auth_token": c.cred.token, "isAdmin": false, "type": c.cred.userType(),
	}
}

// email is the address that a token has for want of a person: its app or organization, its
// name and a number.
func (c *credential) email() string {
	slug := strings.Join(strings.FieldsFunc(strings.ToLower(c.name), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	}), "-")
	return fmt.Sprintf("token-%d-%s-%d@fliplet.com", orElse(c.appID, c.orgID), orElse(slug, "x"), c.id)
}

func (c *credential) userType() string {
	switch c.kind {
	case UserToken:
		return "user"
	case OrganizationToken:
		return "integrationToken"
	}
	return "appToken"
}

func (p *person) fields(token string) map[string]any {
	return map[string]any{
		"id": p.id, "email": p.email, "firstName": p.firstName, "lastName": p.lastName,
		"fullName": strings.TrimSpace(p.firstName + " " + p.lastName), "auth_token": token, "isAdmin": false, // which is for Fliplet's own staff
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

// login answers with the user itself, as public clients read it. A page asks with the
// token of its app: its session then has the user, and comes beside the user.
func (c *call) login() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	p, err := c.password(fields)
	if err != nil {
		return err
	}
	answer := p.fields(p.token)
	if cred, err := c.srv.people.authenticate(c.req, c.query); err == nil {
		c.cred = cred
		cred.signIn(p.id)
		c.st.mu.RLock()
		defer c.st.mu.RUnlock()
		answer["session"] = c.session()
	}
	return c.value(http.StatusOK, answer)
}

// password finds the user whose e-mail and password are in a body, and asks for the second
// factor when a lever wants one. Public clients send it as twofactor.
func (c *call) password(fields map[string]any) (*person, error) {
	email, _ := fields["email"].(string)
	password, _ := fields["password"].(string)
	p := c.srv.people.check(email, password)
	if p == nil {
		return nil, &refusal{status: http.StatusUnauthorized, message: "The email or password is not correct."}
	}
	if want := c.fx.SecondFactor; want != "" {
		code, _ := fields["twofactor"].(string)
		if subtle.ConstantTimeCompare([]byte(code), []byte(want)) == 0 {
			return nil, &refusal{status: http.StatusPreconditionRequired, message: "A two-factor authentication code is required."}
		}
	}
	return p, nil
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
	c.cred.signIn(0)
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

func (d *directory) organizationName(id int64) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, o := range d.organizations {
		if o.id == id {
			return o.name
		}
	}
	return ""
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
	user["type"] = c.cred.userType()
	accounts, entries := map[string]any{}, map[string]any{}
	if row := c.sessionRow(); row != nil {
		entry := map[string]any{"id": row.ID, "dataSourceId": row.DataSourceID, "data": row.data()}
		accounts["dataSource"] = []any{entry}
		entries["dataSource"] = entry
	}
	passports := []any{}
	if p := c.srv.people.person(c.cred.signedIn()); p != nil {
		region, _, _ := strings.Cut(p.token, "--")
		passports = append(passports, map[string]any{"id": p.id, "auth_token": p.token, "email": p.email, "region": region, "userRoleId": 2})
		account := map[string]any{"id": p.id, "email": p.email, "userRoleId": 2, "legacy": nil}
		accounts["flipletLogin"], entries["flipletLogin"] = []any{account}, account
	}
	return map[string]any{
		"id": c.cred.id, "auth_token": c.cred.token, "user": user,
		"client": map[string]any{"source": c.cred.kind},
		"server": map[string]any{"passports": map[string]any{"dataSource": []any{}, "saml2": []any{}, "flipletLogin": passports}},
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

// authorize signs the session in with one of the passports that the path can name. Rows of
// data sources have a route of their own.
func (c *call) authorize() error {
	switch c.args[0] {
	case "flipletLogin":
		fields, err := c.object()
		if err != nil {
			return err
		}
		p, err := c.password(fields)
		if err != nil {
			return err
		}
		c.cred.signIn(p.id)
		return c.getSession()
	case "saml2":
		return badRequest("This app has no SAML2 identity provider.")
	}
	return notFound("The passport")
}

// copyPassports lets the session have who is signed in to another one, whose token the
// body shows.
func (c *call) copyPassports() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	token, _ := fields["source_session_auth_token"].(string)
	from := c.srv.people.byToken(token)
	if from == nil {
		return notAuthorised()
	}
	if id := from.signedIn(); id != 0 {
		c.cred.signIn(id)
	}
	if row := from.loggedInWith(); row != 0 {
		c.cred.login(row)
	}
	return c.getSession()
}

// authorizeState hands out the one-time state that starts a SAML login.
func (c *call) authorizeState() error {
	return c.value(http.StatusOK, map[string]any{"state": c.srv.random.hex(16)})
}
