package feed

// Mutant is a deliberate defect of the engine. The simulator plants each in turn
// and has to notice it: that is how we know that its silence means something.
// The zero Mutant is the engine as it is.
type Mutant uint8

// Break returns the configuration with a defect planted. Only simulations call it.
func (c Config) Break(m Mutant) Config {
	c.mutant = m
	return c
}

// is reports whether a defect is planted.
func (c *Config) is(m Mutant) bool { return c.mutant == m }
