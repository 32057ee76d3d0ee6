package envelope

// Cache keeps recently used keys in two generations. When the younger one is
// full the older one is dropped. The zero value is empty.
type Cache struct{ young, old map[int64]*AEAD }

// generation is how many keys one generation holds, of about a kilobyte each.
const generation = 256

// Get returns a key that was put, nil if there is none any more.
func (c *Cache) Get(id int64) *AEAD {
	if a := c.young[id]; a != nil {
		return a
	}
	a := c.old[id]
	if a != nil {
		c.Put(id, a)
	}
	return a
}

// Put keeps a key.
func (c *Cache) Put(id int64, a *AEAD) {
	if len(c.young) >= generation {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = make(map[int64]*AEAD)
	}
	c.young[id] = a
}

// Wipe wipes all keys and forgets them.
func (c *Cache) Wipe() {
	for _, m := range []map[int64]*AEAD{c.young, c.old} {
		for _, a := range m {
			a.Wipe()
		}
	}
	*c = Cache{}
}

// Len is how many keys are kept.
func (c *Cache) Len() int { return len(c.young) + len(c.old) }
