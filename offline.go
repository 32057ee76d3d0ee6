package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// userRecord is a user who logged in on this store.
type userRecord struct {
	Contact cachedRow `json:"contact"`
	Token   string    `json:"token"`
}

// rememberUser stores who is logged in, for an offline login later. A failure is
// logged: it must not keep anybody from chatting now.
func (c *Chat) rememberUser(ctx context.Context, s *session, contact *Contact, token string) {
	c.keep(ctx, s, "user", userRecord{contactRow(contact), token})
	c.recent.Lock()
	defer c.recent.Unlock()
	if s.loggedOut {
		return
	}
	if err := c.listUser(ctx, s.userID, true); err != nil && ctx.Err() == nil {
		c.log.Warn("remembering the user failed", "error", err)
	}
}

// forgetToken drops a dead chat token, so that it is not used offline either.
func (c *Chat) forgetToken(ctx context.Context, s *session) {
	if err := c.store.Delete(ctx, c.cacheKey(s.userID, "user")); err != nil && ctx.Err() == nil {
		c.log.Warn("forgetting a chat token failed", "error", err)
	}
}

// listUser keeps the list of users who may log in offline.
func (c *Chat) listUser(ctx context.Context, userID string, in bool) error {
	key := c.cacheKey("", "users")
	for range changeAttempts {
		old, err := c.store.Get(ctx, key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("storage: %w", err)
		}
		var users []string
		if json.Unmarshal(old, &users) != nil {
			users = nil
		}
		i := slices.Index(users, userID)
		switch {
		case in == (i >= 0):
			return nil
		case in:
			users = append(users, userID)
		default:
			users = slices.Delete(users, i, i+1)
		}
		new, err := json.Marshal(users)
		if err != nil {
			return err
		}
		if ok, err := c.store.CompareAndSwap(ctx, key, old, new); err != nil {
			return fmt.Errorf("storage: %w", err)
		} else if ok {
			return nil
		}
	}
	return errors.New("storage: the list of users keeps changing")
}

// cachedUser finds a user who was logged in before and satisfies the query, nil
// if there is none. Storage that fails is as good as empty.
func (c *Chat) cachedUser(ctx context.Context, query M) (contact *Contact, token string) {
	var users []string
	if _, err := c.load(ctx, c.cacheKey("", "users"), &users); err != nil {
		c.log.Warn("reading the cached users failed", "error", err)
		return nil, ""
	}
	for _, id := range users {
		var u userRecord
		if ok, err := c.load(ctx, c.cacheKey(id, "user"), &u); err != nil || !ok || u.Token == "" {
			continue
		}
		if !where.Satisfies(u.Contact.Data, query) {
			continue
		}
		row := u.Contact.entry()
		if contact := c.contact(&row); contact.UserID == id {
			return contact, u.Token
		}
	}
	return nil, ""
}

// unreachable reports whether an error means that the server was not reached.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}
