package chat

// WithoutLookUps makes the outbox of a Chat insert again without looking up. It
// is called before login.
func WithoutLookUps(c *Chat) { c.outbox.blind = true }
