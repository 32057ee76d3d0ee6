package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
)

type contactsCmd struct {
	Search string `arg:"" optional:"" help:"Only people in whose name, id or key this text is."`
}

// contactLine is a contact as programs get it.
type contactLine struct {
	ID     int64  `json:"id"`     // of the row, which "create" takes
	UserID string `json:"userId"` // flUserId, "" before the first login
	Name   string `json:"name"`
	Key    string `json:"key,omitempty"` // the value of the primary key
}

// Run lists contacts by name. It needs no login.
func (cmd *contactsCmd) Run(a *app) error {
	c, err := a.open(a.ctx)
	if err != nil {
		return err
	}
	found, err := c.Contacts(a.ctx)
	if err != nil {
		return err
	}
	key := a.keyColumn()
	var lines []contactLine
	for _, p := range found {
		l := contactLine{ID: p.ID, UserID: line(p.UserID), Name: contactName(p.Data), Key: cell(p.Data, key)}
		if cmd.matches(l) {
			lines = append(lines, l)
		}
	}
	slices.SortFunc(lines, func(x, y contactLine) int {
		return cmp.Or(cmp.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)), cmp.Compare(x.ID, y.ID))
	})
	var rows [][]string
	for _, l := range lines {
		if a.out.json {
			if err := a.out.JSON(l); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{strconv.FormatInt(l.ID, 10), cmp.Or(l.Name, "-"), cmp.Or(l.Key, "-"), cmp.Or(l.UserID, "-")})
	}
	switch {
	case a.out.json:
	case len(rows) == 0 && len(found) > 0:
		a.out.Printf("None of %d contacts matches.\n", len(found))
	case len(rows) == 0:
		a.out.Printf("There are no contacts.\n")
	default:
		table(a.out, []string{"ID", "NAME", cmp.Or(strings.ToUpper(line(key)), "KEY"), "USER ID"}, rows, dim)
	}
	return nil
}

func (cmd *contactsCmd) matches(l contactLine) bool {
	want := strings.ToLower(cmd.Search)
	return slices.ContainsFunc([]string{l.Name, l.Key, l.UserID, strconv.FormatInt(l.ID, 10)}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), want)
	})
}

// keyColumn is the column that identifies a contact, "" when nobody has said.
func (a *app) keyColumn() string {
	column, _, _ := strings.Cut(a.As, "=")
	return cmp.Or(a.PrimaryKey, strings.TrimSpace(column))
}

// cell is the value of a column, on one line.
func cell(data chat.M, column string) string {
	v, ok := data[column]
	if !ok || v == nil {
		return ""
	}
	return line(fmt.Sprint(v))
}
