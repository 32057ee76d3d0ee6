package chathttp

import (
	"encoding/json"
	"fmt"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
)

// matches reports whether the query of a login is about the columns of a contact. It knows
// what logins are made of: values, $eq, $iLike, $and and $or.
func matches(data, query chat.M) (bool, error) {
	for key, want := range query {
		var ok bool
		var err error
		switch key {
		case "$and", "$or":
			ok, err = matchesList(data, key, want)
		default:
			ok, err = matchesValue(key, data[key], want)
		}
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func matchesList(data chat.M, operator string, want any) (bool, error) {
	list, ok := want.([]any)
	if !ok || len(list) == 0 {
		return false, badArgument("query.%s: give a list of conditions", operator)
	}
	all := true
	some := false
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return false, badArgument("query.%s: give a list of conditions", operator)
		}
		ok, err := matches(data, m)
		if err != nil {
			return false, err
		}
		all, some = all && ok, some || ok
	}
	if operator == "$or" {
		return some, nil
	}
	return all, nil
}

func matchesValue(column string, has, want any) (bool, error) {
	switch w := want.(type) {
	case map[string]any:
		for op, v := range w {
			switch op {
			case "$eq":
				if !same(has, v) {
					return false, nil
				}
			case "$iLike":
				if !strings.EqualFold(strings.TrimSpace(textOf(has)), strings.TrimSpace(textOf(v))) {
					return false, nil
				}
			default:
				return false, badArgument("query.%s: a login takes a value, $eq or $iLike", clip(column))
			}
		}
		return len(w) > 0, nil
	case nil, []any:
		return false, badArgument("query.%s: a login takes a value, $eq or $iLike", clip(column))
	}
	return same(has, want), nil
}

func same(a, b any) bool { return a != nil && b != nil && textOf(a) == textOf(b) }

// textOf is a value as text: numbers are equal to their text, as primary keys are.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(v)
}
