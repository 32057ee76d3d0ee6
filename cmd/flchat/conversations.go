package main

import (
	"strconv"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

type conversationsCmd struct{}

// conversationLine is a conversation as programs get it.
type conversationLine struct {
	ID           int64      `json:"id"`
	Name         string     `json:"name"` // or who is in it
	Participants []string   `json:"participants"`
	Members      int        `json:"members"`
	Group        bool       `json:"group"`
	Channel      bool       `json:"channel"`
	Muted        bool       `json:"muted"`
	CreatedAt    *time.Time `json:"createdAt,omitempty"`
	UpdatedAt    *time.Time `json:"updatedAt,omitempty"`
}

// Run lists conversations, the latest activity first.
func (*conversationsCmd) Run(a *app) error {
	c, err := a.Connect(a.ctx)
	if err != nil {
		return err
	}
	n := newNames(c)
	all, err := n.load(a.ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, conv := range all {
		name := n.conversation(a.ctx, conv.ID)
		if a.out.json {
			if err := a.out.JSON(conversationLine{
				ID: conv.ID, Name: name, Participants: append([]string{}, conv.Definition.Participants...), Members: conv.NParticipants, Group: conv.IsGroup,
				Channel: conv.IsChannel, Muted: conv.IsMuted(), CreatedAt: moment(conv.CreatedAt), UpdatedAt: moment(conv.UpdatedAt),
			}); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{strconv.FormatInt(conv.ID, 10), name, strconv.Itoa(conv.NParticipants), a.dayTime(conv.UpdatedAt), kind(conv)})
	}
	switch {
	case a.out.json:
	case len(rows) == 0:
		a.out.Printf("You are in no conversation yet.\n")
	default:
		table(a.out, []string{"ID", "NAME", "MEMBERS", "LAST ACTIVITY", "KIND"}, rows, dim)
	}
	return nil
}

func kind(conv *chat.Conversation) string {
	var out []string
	switch {
	case conv.IsChannel:
		out = append(out, "channel")
	case conv.IsGroup:
		out = append(out, "group")
	default:
		out = append(out, "direct")
	}
	if conv.IsMuted() {
		out = append(out, "muted")
	}
	return strings.Join(out, ", ")
}

// dayTime is a time as people read it, in their zone.
func (a *app) dayTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(a.zone).Format("2006-01-02 15:04")
}
