package rows

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Members reads which conversations of the apps each of many users is in, with one request
// for each app. Users in none are left out.
func (c *Crowd) Members(ctx context.Context, users []string) (map[string][]int64, error) {
	wanted := make(map[string]bool, len(users))
	for _, u := range users {
		wanted[u] = u != ""
	}
	of, seen := map[string][]int64{}, map[int64]bool{}
	for _, app := range c.Apps {
		list, err := c.Client.DataSources(ctx, datasource.SourceFilter{AppID: app, Type: wire.TypeConversation})
		if err != nil {
			return nil, err
		}
		for i := range list {
			ds := &list[i]
			if ds.Err != nil {
				return nil, ds.Err // who is in it is not known
			}
			if ds.ID <= 0 || ds.Type != wire.TypeConversation || seen[ds.ID] {
				continue
			}
			seen[ds.ID] = true
			for _, u := range wire.ParseDefinition(ds.Definition).List(wire.Participants) {
				if wanted[u] && !slices.Contains(of[u], ds.ID) {
					of[u] = append(of[u], ds.ID)
				}
			}
		}
	}
	return of, nil
}

// ErrUncounted: an answer does not tell how many messages somebody has not read.
var ErrUncounted = errors.New("the answer does not tell how many rows are unread")

// Unread reads, in one request, who has read those rows of some conversations that somebody
// of their users has not, at most limit of each: a list for each row.
func (c *Crowd) Unread(ctx context.Context, conversations []int64, users map[int64][]string, limit int) (map[int64][][]string, error) {
	unread := func(id int64) M {
		var or []any
		for _, u := range users[id] {
			or = append(or, wire.UnreadByColumn(u))
		}
		return M{"$or": or}
	}
	host := conversations[0]
	q := datasource.Query{Type: "select", Where: unread(host), Attributes: []string{wire.ReadBy}, Limit: limit}
	for _, id := range conversations[1:] {
		if q.Join == nil {
			q.Join = M{}
		}
		q.Join["c"+strconv.FormatInt(id, 10)] = M{"dataSourceId": id, "where": unread(id), "attributes": []string{wire.ReadBy}, "limit": limit}
	}
	answer, err := c.Client.Select(ctx, host, q)
	if err != nil {
		return nil, err
	}
	found := map[int64][][]string{}
	if answer.More && len(answer.Entries) < limit*len(conversations) { // it may have been cut
		if len(conversations) == 1 {
			q.Offset = len(answer.Entries)
			behind, err := c.Client.Find(ctx, host, q)
			if err != nil {
				return nil, err
			}
			answer.Entries = append(answer.Entries, behind...)
			if len(behind) > 0 && len(answer.Entries) < limit {
				return nil, ErrUncounted
			}
		} else {
			half := len(conversations) / 2
			for _, some := range [][]int64{conversations[:half], conversations[half:]} {
				part, err := c.Unread(ctx, some, users, limit)
				if err != nil {
					return nil, err
				}
				maps.Copy(found, part)
			}
			return found, nil
		}
	}
	for i := range answer.Entries {
		e := &answer.Entries[i]
		if e.DataSourceID == 0 && len(conversations) == 1 {
			e.DataSourceID = host
		}
		if e.Err != nil || len(users[e.DataSourceID]) == 0 {
			return nil, ErrUncounted
		}
		if _, list := e.Data[wire.ReadBy].([]any); !list && e.Data[wire.ReadBy] != nil {
			return nil, ErrUncounted // the server knows what it takes that for
		}
		found[e.DataSourceID] = append(found[e.DataSourceID], wire.Strings(e.Data[wire.ReadBy]))
	}
	return found, nil
}
