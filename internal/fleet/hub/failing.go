package hub

import "errors"

// Failing are the conversations whose own reads have failed for 10 s, and why; nil: there are none.
func (h *Hub) Failing() map[int64]error { return h.driver.Failing() }

// complaint remembers of which conversations a listener was told that they cannot be read.
type complaint struct{ told map[int64]bool }

// about returns why some of these cannot be read, of those about which nothing was said yet. nil:
// there is nothing new.
func (c *complaint) about(h *Hub, conversations []int64) error {
	failing := h.Failing()
	if len(failing) == 0 {
		c.told = nil
		return nil
	}
	var news []error
	told := map[int64]bool{}
	for _, id := range conversations {
		err := failing[id]
		if err == nil {
			continue
		}
		if !c.told[id] {
			news = append(news, err)
		}
		told[id] = true
	}
	c.told = told
	return errors.Join(news...)
}

// Failing is why some of the user's conversations cannot be read, where that is new. One goroutine
// at a time may call it.
func (d *Desk) Failing() error { return d.complaint.about(d.h, d.mine) }
