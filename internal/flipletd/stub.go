package flipletd

type (
	mediaFile   struct{}
	mediaFolder struct{}
	upload      struct{}
	join        struct{}
	stage       struct{}
	snapshot    struct{ id int64 }
)

func (st *store) loadFile([]byte) error                { return nil }
func (st *store) loadFolder([]byte) error              { return nil }
func (st *store) loadSnapshot([]byte) error            { return nil }
func (st *store) sortSnapshots()                       {}
func (st *store) snapshot(*tx, *source, string, int64) {}
func (c *call) readMultipart(boundary string) (*submission, error) {
	return nil, badRequest("Multipart is not understood.")
}
func (c *call) store(tx *tx, m *meta, sub *submission, old map[string]any) error { return nil }
func (q *entryQuery) readShaping(fields map[string]any) error                    { return nil }
func (c *call) viewFilter(m *meta, names []string) (func(*version) (bool, error), error) {
	return func(*version) (bool, error) { return true, nil }, nil
}
func (c *call) shapeRows(q *entryQuery, s *source, rows []*version) ([]*version, func([]byte, *version) []byte, error) {
	return rows, nil, nil
}
func (c *call) aggregate(q *entryQuery, rows []*version, columns *columnView, id int64) error {
	return nil
}
