package flipletd

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// This file is what the login component asks for around the login itself.

// credentialTypes serves how the person with an e-mail address can sign in: with a password,
// or not at all, upon which the component turns to a new password.
func (c *call) credentialTypes() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	email, err := filled(fields, "email")
	if err != nil {
		return err
	}
	types := []any{}
	if c.srv.people.hasPassword(email) {
		types = append(types, map[string]any{"type": "password"})
	}
	return c.value(http.StatusOK, map[string]any{"types": types})
}

// forgotPassword takes the wish for a new password. Nothing is sent from here, so there is
// no code that resetPassword could take.
func (c *call) forgotPassword() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	if _, err := filled(fields, "email"); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{})
}

func (c *call) resetPassword() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	for _, name := range []string{"email", "password"} {
		if _, err := filled(fields, name); err != nil {
			return err
		}
	}
	return badRequest("The verification code is not valid.")
}

// updateUser changes the password of who is signed in.
func (c *call) updateUser() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	current, err := filled(fields, "currentPassword")
	if err != nil {
		return err
	}
	wanted, err := filled(fields, "newPassword")
	if err != nil {
		return err
	}
	id := c.cred.signedIn()
	if id == 0 {
		return forbidden("Nobody is signed in to this session.")
	}
	if !c.srv.people.changePassword(id, current, wanted) {
		return badRequest("The current password is not correct.")
	}
	p := c.srv.people.person(id)
	return c.value(http.StatusOK, map[string]any{"user": p.fields(p.token)})
}

// filled is a text of a body that must be there.
func filled(fields map[string]any, name string) (string, error) {
	text, _ := fields[name].(string)
	if strings.TrimSpace(text) == "" {
		return "", badRequest("%s must be a text that is not empty.", name)
	}
	return text, nil
}

func (d *directory) hasPassword(email string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i := range d.people {
		if p := &d.people[i]; p.password != "" && strings.EqualFold(p.email, strings.TrimSpace(email)) {
			return true
		}
	}
	return false
}

// changePassword gives a person another password, if this is the one so far.
func (d *directory) changePassword(id int64, current, wanted string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.people {
		if p := &d.people[i]; p.id == id && p.password != "" && subtle.ConstantTimeCompare([]byte(p.password), []byte(current)) == 1 {
			p.password = wanted
			return true
		}
	}
	return false
}
