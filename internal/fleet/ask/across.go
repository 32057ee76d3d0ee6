package ask

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

var (
	// ErrAcross: queries across are answered, but not with what was asked for.
	ErrAcross = errors.New("the query across conversations is not answered as expected")
	// ErrToken: there is no token of a user, or none that the server takes.
	ErrToken = errors.New("the contact has no flUserToken that the server takes")
)

// mostAcross is the most rows that an answer is asked for because a smaller one told nothing.
const mostAcross = 12_800

// across reads a page of the changes in the conversations of a user, with the deleted rows.
func (s *Source) across(ctx context.Context, r fleet.Request) (a fleet.Answer, err error) {
	q := wire.Cross{
		Where: since(r.After), Limit: r.Limit, IncludeDeleted: true,
		Order: [][2]string{{"updatedAt", string(datasource.Asc)}, {"id", string(datasource.Asc)}},
	}
	for {
		answer, err := s.askAcross(ctx, r.User, q)
		if err != nil {
			return a, err
		}
		full := len(answer.Entries) >= q.Limit
		sorted := slices.IsSortedFunc(answer.Entries, order)
		if slices.ContainsFunc(answer.Entries, func(e datasource.Entry) bool {
			return e.ID <= 0 || e.DataSourceID <= 0 || e.UpdatedAt.IsZero() // nothing tells whose it is, or when it was
		}) {
			return a, ErrAcross
		}
		fresh := slices.DeleteFunc(answer.Entries, func(e datasource.Entry) bool {
			return rows.ChangeKey(&e).Compare(r.After) <= 0
		})
		if full && (len(fresh) == 0 || !sorted) { // as in read
			if q.Limit *= 2; q.Limit > mostAcross {
				return a, ErrAcross
			}
			continue
		}
		last := lastKey(fresh)
		a = s.answer(ctx, answer, fresh)
		a.Full, a.Last = full, last
		return a, nil
	}
}

// since is the condition for changes after a key.
func since(after feed.Key) wire.M {
	at := wire.Timestamp(time.UnixMicro(int64(max(after.Time, 0))))
	if after.WholeInstant() {
		return wire.M{"updatedAt": wire.M{"$gt": at}}
	}
	return wire.M{"updatedAt": wire.M{"$gte": at}}
}

// askAcross asks with the token of a user, and once more with the one that the contact has now if
// the server does not take it.
func (s *Source) askAcross(ctx context.Context, user int32, q wire.Cross) (*datasource.Result, error) {
	for {
		token, kept, err := s.token(ctx, user)
		if err != nil {
			return nil, err
		}
		q.Token = token
		body, err := q.Body()
		if err != nil {
			return nil, err
		}
		answer, err := s.cfg.Client.SelectAcross(ctx, body, nil)
		switch {
		case err == nil:
			return answer, nil
		case !errors.Is(err, datasource.ErrForbidden) || errors.Is(err, datasource.ErrAccessDenied):
			return nil, err
		}
		s.forget(user, token)
		if !kept {
			return nil, fmt.Errorf("%w: %w", ErrToken, err)
		}
	}
}

// token is that of a user. kept: it was read before.
func (s *Source) token(ctx context.Context, user int32) (token string, kept bool, err error) {
	s.mu.Lock()
	token = s.tokens[user]
	id := ""
	if int(user) < len(s.users) {
		id = s.users[user]
	}
	s.mu.Unlock()
	if token != "" {
		return token, true, nil
	}
	if s.cfg.Token != nil && id != "" {
		token, err = s.cfg.Token(ctx, id)
	}
	if err != nil {
		return "", false, err
	}
	if token == "" {
		return "", false, ErrToken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[user] = token
	return token, false, nil
}

// forget forgets a token that the server does not take.
func (s *Source) forget(user int32, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[user] == token {
		delete(s.tokens, user)
	}
}

// TokenOf returns a function for [Config.Token] that reads the contacts of a data source, in one
// request.
func TokenOf(client *datasource.Client, contacts int64) func(context.Context, string) (string, error) {
	return func(ctx context.Context, flUserID string) (string, error) {
		found, err := rows.Readable(ctx, client, contacts, datasource.Query{Type: "select", Where: datasource.M{wire.UserID: flUserID}})
		if err != nil {
			return "", err
		}
		var first *datasource.Entry // as a login takes the oldest
		for i := range found {
			e := &found[i]
			if e.ID > 0 && e.DeletedAt == nil && wire.Text(e.Data[wire.UserID]) == flUserID && (first == nil || e.ID < first.ID) {
				first = e
			}
		}
		if first == nil {
			return "", nil
		}
		return wire.Text(first.Data[wire.UserToken]), nil
	}
}
