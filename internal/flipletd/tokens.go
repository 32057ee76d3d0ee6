package flipletd

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The kinds of token. A user token belongs to somebody in Studio and passes
// every access rule; an API token belongs to one app and needs rules that
// grant it something; an app token is what a running app has, anonymous until
// its session holds a row of a data source; an organization's token belongs to no app.
const (
	UserToken         = "user"
	APIToken          = "api"
	AppToken          = "app"
	OrganizationToken = "organization"
)

// credential is a token and what it stands for. Its session changes; the rest
// does not.
type credential struct {
	id     int64
	token  string
	kind   string
	name   string // what Studio shows; "" for user tokens
	appID  int64  // 0 for tokens of users and organizations
	orgID  int64
	userID int64
	twinOf int64 // the token whose user this one has, for want of a userID; 0 is none

	createdAt time.Time

	mu     sync.Mutex
	row    int64 // the entry that the session is logged in with; 0 is nobody
	signed int64 // the user who signed in to the session with a password; 0 is nobody
}

// governs says that the holder may see what is the organization's: its tokens and its log.
func (c *credential) governs() bool { return c.kind == UserToken || c.kind == OrganizationToken }

// studio says that access rules do not apply.
func (c *credential) studio() bool { return c.kind == UserToken }

func (c *credential) login(entryID int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.row = entryID
}

// signIn notes who signed in with a password, 0 for nobody.
func (c *credential) signIn(userID int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signed = userID
}

// signedIn is the user of the session: the token's own, or who signed in.
func (c *credential) signedIn() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return orElse(c.userID, c.signed)
}

func (c *credential) loggedInWith() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row
}

// person is a Studio user.
type person struct {
	id                         int64
	orgID                      int64
	email, firstName, lastName string
	password                   string // "": cannot log in
	token                      string
}

// app is one app of an organisation.
type app struct {
	id, orgID            int64
	name                 string
	productionID         int64 // 0 is null
	version              int64 // of the last update; 0 is null
	settings             map[string]any
	createdAt, updatedAt time.Time
}

// organization groups apps and users.
type organization struct {
	id   int64
	name string
}

// directory knows who there is: organisations, apps, users, tokens.
type directory struct {
	mu            sync.RWMutex
	organizations []organization
	apps          []app
	people        []person
	tokens        map[string]*credential
	lastID        int64
}

func (d *directory) populate(orgID, appID int64, token string, now time.Time) error {
	d.tokens = make(map[string]*credential)
	d.lastID = 40000
	d.organizations = []organization{{id: orgID, name: "Local organization"}}
	d.apps = []app{{id: appID, orgID: orgID, name: "Local app", createdAt: now, updatedAt: now}}
	_, err := d.addToken(&credential{kind: APIToken, name: "Local token", appID: appID, orgID: orgID, token: token, createdAt: now})
	return err
}

// addToken registers a token and gives it its id.
func (d *directory) addToken(c *credential) (*credential, error) {
	if c.token == "" || strings.ContainsFunc(c.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("flipletd: a token is made of ASCII characters that a header can carry, without spaces")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tokens[c.token] != nil {
		return nil, errors.New("flipletd: that token exists already")
	}
	d.lastID++
	c.id = d.lastID
	d.tokens[c.token] = c
	return c, nil
}

func (d *directory) revoke(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.tokens, token)
}

func (d *directory) authenticate(r *http.Request, query map[string][]string) (*credential, error) {
	if c := d.byToken(presentedToken(r, query)); c != nil {
		return c, nil
	}
	return nil, notAuthorised()
}

// byToken returns what a token stands for, or nil.
func (d *directory) byToken(token string) *credential {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.tokens[token]
}

func (d *directory) addApp(a app) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apps = append(d.apps, a)
	slices.SortFunc(d.apps, func(a, b app) int { return cmp.Compare(a.id, b.id) })
}

// app returns an app, or nil.
func (d *directory) app(id int64) *app {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i := range d.apps {
		if d.apps[i].id == id {
			a := d.apps[i]
			return &a
		}
	}
	return nil
}

// change replaces an app by a copy that change has changed, and returns that.
func (d *directory) change(id int64, now time.Time, change func(*app)) app {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.apps {
		if d.apps[i].id == id {
			change(&d.apps[i])
			d.apps[i].updatedAt = now
			return d.apps[i]
		}
	}
	return app{}
}

// newApp registers an app under the next id.
func (d *directory) newApp(a app) app {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, other := range d.apps {
		a.id = max(a.id, other.id)
	}
	a.id++
	d.apps = append(d.apps, a)
	return a
}

func (d *directory) removeApp(id int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apps = slices.DeleteFunc(slices.Clone(d.apps), func(a app) bool { return a.id == id })
}

// related says whether two apps are the same one, or the draft and the
// published form of it.
func (d *directory) related(a, b int64) bool {
	if a == b {
		return true
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, x := range d.apps {
		if x.productionID != 0 && (x.id == a && x.productionID == b || x.id == b && x.productionID == a) {
			return true
		}
	}
	return false
}

func (d *directory) addPerson(p person) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.id = int64(len(d.people)) + 1
	d.people = append(d.people, p)
	return p.id
}
