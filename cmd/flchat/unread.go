package main

import "slices"

type unreadCmd struct {
	Conversations []int64 `name:"conversation" short:"c" placeholder:"ID" help:"Only this conversation; may be given several times."`
	Count         bool    `help:"Only how many there are."`
}

// Run shows messages that the user has not read, and leaves them unread.
func (cmd *unreadCmd) Run(a *app) error {
	c, err := a.Connect(a.ctx)
	if err != nil {
		return err
	}
	if cmd.Count && len(cmd.Conversations) == 0 {
		n, err := c.Unread().Count(a.ctx)
		if err != nil {
			return err
		}
		return a.count(n)
	}
	n := newNames(c)
	if !cmd.Count {
		if _, err := n.load(a.ctx); err != nil {
			return err
		}
	}
	found, err := c.Unread().Get(a.ctx)
	if err != nil {
		return err
	}
	shown := 0
	t := talk{a: a, names: n}
	for _, m := range found {
		if len(cmd.Conversations) > 0 && !slices.Contains(cmd.Conversations, m.ConversationID) {
			continue
		}
		shown++
		if cmd.Count {
			continue
		}
		if err := t.show(a.ctx, eventMessage, m); err != nil {
			return err
		}
	}
	switch {
	case cmd.Count:
		return a.count(shown)
	case shown == 0 && !a.out.json:
		a.out.Printf("You have read everything.\n")
	}
	return nil
}

func (a *app) count(n int) error {
	if a.out.json {
		return a.out.JSON(struct {
			Unread int `json:"unread"`
		}{n})
	}
	a.out.Printf("%d\n", n)
	return nil
}
