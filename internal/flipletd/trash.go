package flipletd

import (
	"net/http"
	"time"
)

// studioOnly refuses what only people may do. That app tokens are refused is
// documented, the status is not.
func (c *call) studioOnly() error {
	if !c.cred.studio() {
		return badRequest("This token is not allowed to delete or restore data sources.")
	}
	return nil
}

// deleteSource moves a source to the trash and answers without a body.
func (c *call) deleteSource() error {
	if err := c.studioOnly(); err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, _, err := c.source(primary)
	if err != nil {
		return err
	}
	tx := c.begin(logSourceRemove)
	m := tx.edit(s)
	m.deletedAt = tx.stamp
	c.status, c.out = http.StatusOK, c.out[:0]
	return tx.commit()
}

// trashed finds a source in the trash by the id in the path.
func (c *call) trashed() (*source, error) {
	if err := c.studioOnly(); err != nil {
		return nil, err
	}
	id, ok := wholeNumber(c.args[0])
	if s := c.st.sources[id]; ok && s != nil && c.reaches(s.meta) && !s.meta.deletedAt.IsZero() {
		return s, nil
	}
	return nil, notFound("The deleted data source")
}

func (c *call) restoreSource() error {
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, err := c.trashed()
	if err != nil {
		return err
	}
	tx := c.begin(logSourceRestore)
	m := tx.edit(s)
	m.deletedAt = time.Time{}
	if err := tx.commit(); err != nil {
		return err
	}
	return c.oneSource(http.StatusOK, listed{m, s.live})
}

// purgeSource deletes a trashed source and its entries for good.
func (c *call) purgeSource() error {
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, err := c.trashed()
	if err != nil {
		return err
	}
	tx := c.begin(logSourceDelete)
	tx.about = s.meta
	tx.extra = append(tx.extra, Record{Kind: kindSource, ID: s.id}, c.st.counters())
	for _, v := range s.rows {
		tx.extra = append(tx.extra, Record{Kind: kindEntry, ID: v.ID})
	}
	for _, snap := range c.st.versions[s.id] {
		tx.extra = append(tx.extra, Record{Kind: kindVersion, ID: snap.id})
	}
	tx.after = append(tx.after, func() { c.st.purge(s) })
	c.status, c.out = http.StatusOK, c.out[:0]
	return tx.commit()
}
