package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// What a chat does with its data sources.
var (
	contactRights = []string{"select", "update"}
	talkRights    = []string{"select", "insert", "update", "delete"}
)

// rule is an access rule, as far as it says who may do what.
type rule struct {
	Type    any             `json:"type"` // a text or a list of them
	Allow   json.RawMessage `json:"allow"`
	Enabled *bool           `json:"enabled"`
}

// grants sorts rights by what rules say: given to everybody, given to some, given to nobody.
func grants(raw json.RawMessage, rights []string) (some, none []string, readable bool) {
	var rules []rule
	if err := json.Unmarshal(raw, &rules); err != nil {
		return nil, nil, false
	}
	for _, right := range rights {
		all, few := false, false
		for _, r := range rules {
			if r.Enabled != nil && !*r.Enabled || !r.has(right) {
				continue
			}
			if string(r.Allow) == `"all"` {
				all = true
			} else {
				few = true
			}
		}
		switch {
		case all:
		case few:
			some = append(some, right)
		default:
			none = append(none, right)
		}
	}
	return some, none, true
}

func (r rule) has(right string) bool {
	switch t := r.Type.(type) {
	case string:
		return t == right
	case []any:
		return slices.Contains(t, any(right))
	}
	return false
}

// checkRights reads the access rules. Whether they let this token write shows only by writing.
func (d *doctor) checkRights(context.Context) finding {
	if d.account.Type == "user" {
		return fine("a person in Studio passes every access rule")
	}
	type looked struct {
		source datasource.DataSource
		rights []string
	}
	all := []looked{{*d.source, contactRights}}
	for _, s := range d.talks[:min(len(d.talks), sampleTalks)] {
		all = append(all, looked{s, talkRights})
	}
	var lacking, depends, open []string
	for _, l := range all {
		name := fmt.Sprintf("%s (%d)", line(l.source.Name), l.source.ID)
		if len(l.source.AccessRules) == 0 {
			open = append(open, name)
			continue
		}
		some, none, readable := grants(l.source.AccessRules, l.rights)
		switch {
		case !readable:
			depends = append(depends, name+": rules of a form that is not known")
		case len(none) > 0:
			lacking = append(lacking, name+": no "+strings.Join(none, ", "))
		case len(some) > 0:
			depends = append(depends, name+": "+strings.Join(some, ", ")+" for some only")
		}
	}
	switch {
	case len(lacking) > 0:
		return fail(datasource.ErrAccessDenied, "Add a rule in Studio: contacts need select and update, conversations also insert and delete.", "%s", strings.Join(lacking, "; "))
	case len(depends) > 0:
		return look("Check in Studio that the rules name this token.", "%s", strings.Join(depends, "; "))
	case len(open) > 0:
		return look("Give them access rules in Studio, unless the token is not shown them.", "without access rules, so that every token of the app may do everything: %s", strings.Join(open, "; "))
	}
	return fine("the rules let everybody do what a chat does with contacts and conversations")
}
