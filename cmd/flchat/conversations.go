package main

type conversationsCmd struct{}

// Run lists conversations, the newest first.
func (*conversationsCmd) Run(a *app) error {
	c, err := a.Connect(a.ctx)
	if err != nil {
		return err
	}
	all, err := c.Conversations(a.ctx)
	if err != nil {
		return err
	}
	for _, conv := range all {
		if a.out.json {
			if err := a.out.JSON(conv); err != nil {
				return err
			}
			continue
		}
		a.out.Printf("%d  %s\n", conv.ID, safe(conv.Name))
	}
	return nil
}
