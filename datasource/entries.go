package datasource

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Result is the answer to a query, see Client.Select.
type Result struct {
	// Entries are the matching rows, in the order asked for.
	Entries []Entry
	// Deleted are the tombstones that the server adds to a query by UpdatedAt; at least the ID is set. Limit does not hold
	// for them, so of many the columns are left out, and of more than 262,144, or a quarter of Config.MaxResponseBytes, the
	// rest: what is read does not fail because of them.
	Deleted []Entry
	// Total counts the matching rows before limit and offset. nil unless Query.IncludePagination was set.
	Total *int
	// Answered is the server's time of the answer, in whole seconds: its Date. Zero when the answer had none. No row in it
	// can have been changed later, whatever its timestamps say, which anybody may have stored.
	Answered time.Time
	// Size is the number of bytes of the answer, without what is left out of rows that break a limit. A program that reads
	// pages of rows of any size asks for fewer rows when one was large.
	Size int64
	// More: there may be rows behind these, so ask again from the last one on until More is false. An answer has More when
	// it has as many rows as Query.Limit, and also when it has fewer and may have been cut: a server, or a gateway on the
	// way, may give at most so many rows, or bytes, and not say so. An answer is believed to be whole when the Client has
	// had a larger one within 10 to 20 minutes, when it is empty, or when it is so small that no sensible limit has cut it.
	// A limit that falls while the program runs is noticed when what was seen before has expired.
	More bool
}

// Write is a row to insert, or a patch to merge into one.
type Write struct {
	// Data holds the columns, flat.
	Data M
	// Params goes into the query string, such as folderId.
	Params url.Values
	// Files makes the request multipart/form-data. Every other column then arrives as text.
	Files []Part
	// Progress is called while a request with Files is being sent, on another goroutine, one call at a time. total is -1
	// when the size of a Reader is unknown. A repeated attempt starts from 0.
	Progress func(sent, total int64)
}

// Find returns the rows that match q. A row that breaks a limit comes with Entry.Err. Of more rows than twice Query.Limit
// the rest is left out. A list with something in it that is not a row with an id is an error, unless Aggregate, Distinct,
// Attributes or Join ask for something else, and so is one beside an error: neither says what is not there.
func (c *Client) Find(ctx context.Context, dataSourceID int64, q Query) ([]Entry, error) {
	r, err := c.Select(ctx, dataSourceID, q)
	if err != nil {
		return nil, err
	}
	return r.Entries, nil
}

// Select is Find with everything that the answer holds: the number of matches, for programs that show pages, and the
// deleted rows, for programs that keep a copy of a data source.
func (c *Client) Select(ctx context.Context, dataSourceID int64, q Query) (*Result, error) {
	body, err := q.body("select", nil)
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	if len(q.Join) > 0 { // an outer join adds rows
		limit = 0
	}
	p, err := c.rows(ctx, dataSourceID, call{method: http.MethodPost, path: "data/query", body: body, read: true, list: rowFields, rows: limit, most: c.most(ctx), joined: len(q.Join) > 0}, q.believe())
	if err != nil {
		return nil, err
	}
	kind := &c.evidence.one
	if len(q.Join) > 0 { // what is limited may be each list, or all of them
		kind = &c.evidence.joined
	}
	return &Result{
		Entries: p.entries, Deleted: p.deleted, Total: p.total, Answered: p.answered, Size: p.kept, More: p.more(kind, limit, p.size),
	}, nil
}

// believe is what makes an answer one to this query. What is made from rows has no ids.
func (q *Query) believe() func(*page) error {
	if q.Aggregate != nil || q.Distinct != "" || q.Join != nil || len(q.Attributes) > 0 {
		return (*page).listing
	}
	return (*page).all
}

// FindByID returns one row. A row that does not exist is ErrNotFound. Another row than the one asked for is an error, as
// it is for Insert and Update, where the error is Doubtful.
func (c *Client) FindByID(ctx context.Context, dataSourceID, entryID int64) (*Entry, error) {
	path, err := entryPath(dataSourceID, entryID)
	if err != nil {
		return nil, err
	}
	return c.row(ctx, dataSourceID, entryID, &call{method: http.MethodGet, path: path, read: true}, nil)
}

// Insert stores one row and returns it as the server has it. An answer of success without the row, and its id, is an
// error that is Doubtful: it may come from somebody on the way.
func (c *Client) Insert(ctx context.Context, dataSourceID int64, data M) (*Entry, error) {
	return c.InsertEntry(ctx, dataSourceID, Write{Data: data})
}

// InsertEntry is Insert with parameters, files and progress, for forms that upload files with a row.
func (c *Client) InsertEntry(ctx context.Context, dataSourceID int64, w Write) (*Entry, error) {
	path, err := sourcePath(dataSourceID, "data")
	if err != nil {
		return nil, err
	}
	return c.write(ctx, dataSourceID, 0, path, w)
}

// Update merges data into one row: other columns stay, nested values are replaced whole, nil is stored as null. It
// returns the whole row. When the answer of success does not hold it, with its id or what was sent, a second request reads
// it; if it does not have the columns, the error is Doubtful.
func (c *Client) Update(ctx context.Context, dataSourceID, entryID int64, data M) (*Entry, error) {
	return c.UpdateEntry(ctx, dataSourceID, entryID, Write{Data: data})
}

// UpdateEntry is Update with parameters, files and progress. The server adds files to a column that holds an array.
func (c *Client) UpdateEntry(ctx context.Context, dataSourceID, entryID int64, w Write) (*Entry, error) {
	path, err := entryPath(dataSourceID, entryID)
	if err != nil {
		return nil, err
	}
	e, err := c.write(ctx, dataSourceID, entryID, path, w)
	if !errors.Is(err, errNoRow) || len(w.Files) > 0 {
		return e, err
	}
	if stored, failed := c.FindByID(ctx, dataSourceID, entryID); failed == nil && stored.holds(w.Data) {
		return stored, nil
	}
	return nil, err
}

// holds reports whether a row has these columns.
func (e *Entry) holds(columns M) bool {
	for name, v := range columns {
		want, err := appendValue(nil, v)
		got, failed := appendValue(nil, e.Data[name])
		if err != nil || failed != nil || !bytes.Equal(want, got) {
			return false
		}
	}
	return true
}

func (c *Client) write(ctx context.Context, dataSourceID, entryID int64, path string, w Write) (*Entry, error) {
	cl := &call{method: http.MethodPut}
	cl.locate(c.root, path, w.Params)
	if len(w.Files) > 0 {
		fields, err := formFields(w.Data, entryID != 0)
		if err != nil {
			return nil, err
		}
		if cl.form, err = newForm(fields, w.Files, w.Progress); err != nil {
			return nil, err
		}
	} else {
		var err error
		if w.Data == nil {
			return nil, errors.New("datasource: Data is nil: give the columns, M{} for a row without any")
		}
		if cl.body, err = appendValue(make([]byte, 0, 512), w.Data); err != nil {
			return nil, fmt.Errorf("datasource: Data: %w", err)
		}
	}
	return c.row(ctx, dataSourceID, entryID, cl, w.Data)
}

// Delete removes one row for good: there is no trash for rows.
func (c *Client) Delete(ctx context.Context, dataSourceID, entryID int64) error {
	path, err := entryPath(dataSourceID, entryID)
	if err != nil {
		return err
	}
	return c.do(ctx, &call{method: http.MethodDelete, path: path}, confirmed)
}

// UpdateWhere merges patch into every row that q matches and returns those rows. Only the filters of q may be set, and
// one of them must be. With the present value in the filter it changes a row only if nobody else has changed it.
func (c *Client) UpdateWhere(ctx context.Context, dataSourceID int64, q Query, patch M) ([]Entry, error) {
	if len(patch) == 0 {
		return nil, errors.New("datasource: patch is empty: give the columns to change")
	}
	body, err := q.body("update", patch)
	if err != nil {
		return nil, err
	}
	p, err := c.rows(ctx, dataSourceID, call{method: http.MethodPost, path: "data/query", body: body}, (*page).some)
	return p.entries, err
}

// DeleteWhere deletes every row that q matches, for good, and returns how many there were. Only the filters of q may
// be set, and one of them must be.
func (c *Client) DeleteWhere(ctx context.Context, dataSourceID int64, q Query) (int, error) {
	body, err := q.body("delete", nil)
	if err != nil {
		return 0, err
	}
	p, err := c.rows(ctx, dataSourceID, call{method: http.MethodPost, path: "data/query", body: body}, (*page).counting)
	if p.deletedCount != nil { // the answer has one of two forms
		return *p.deletedCount, err
	}
	return p.deletedIDs, err
}

// rows makes a call below a data source and reads an answer with rows. cl.path is relative to the data source. believe
// says what an answer lacks that was asked for.
func (c *Client) rows(ctx context.Context, dataSourceID int64, cl call, believe func(*page) error) (page, error) {
	var p page
	var err error
	if cl.path, err = sourcePath(dataSourceID, cl.path); err != nil {
		return p, err
	}
	err = c.do(ctx, &cl, func(body []byte) error {
		p = page{}
		if err := decode(body, func(d *decoder) error {
			d.bound(c.maxBytes, cl.rows)
			return d.page(&p)
		}); err != nil {
			return err
		}
		return believe(&p)
	})
	if err != nil {
		return page{}, err
	}
	p.answered, p.size, p.kept = cl.answered(), cl.size, cl.kept
	for _, rows := range [...][]Entry{p.entries, p.deleted} {
		for i := range rows {
			if rows[i].DataSourceID == 0 && !cl.joined { // some answers leave it out
				rows[i].DataSourceID = dataSourceID
			}
		}
	}
	return p, nil
}

// row makes a call that answers with one row: entryID, or one that is new if that is 0. sent are the columns of a write.
func (c *Client) row(ctx context.Context, dataSourceID, entryID int64, cl *call, sent M) (*Entry, error) {
	e, found := new(Entry), false
	err := c.do(ctx, cl, func(body []byte) error {
		return decode(body, func(d *decoder) (err error) {
			*e = Entry{}
			found, err = d.single(e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	err = cmp.Or(e.belongs(dataSourceID, entryID), errorOf("row", e.ID, e.Err))
	switch id := cmp.Or(e.ID, entryID); {
	case err != nil:
	case !found, id <= 0, e.Data == nil && entryID != 0 && !cl.read, e.ID == 0 && !e.vouched(cl.read, sent):
		err = errNoRow
	}
	if err != nil {
		return nil, &callError{op: cl.op(), err: err, doubtful: !cl.read}
	}
	e.DataSourceID, e.ID = dataSourceID, cmp.Or(entryID, e.ID) // some answers leave them out
	return e, nil
}

// vouched reports whether what has no id is a row nevertheless: read, by another field that rows have beside columns;
// written, by the columns that were sent. Anybody on the way may put a message into an object called data.
func (e *Entry) vouched(read bool, sent M) bool {
	if read {
		return len(e.Data) > 0 && (e.DataSourceID != 0 || !e.CreatedAt.IsZero() || !e.UpdatedAt.IsZero())
	}
	for name := range sent {
		if _, ok := e.Data[name]; !ok {
			return false
		}
	}
	return len(sent) > 0 && e.holds(sent)
}

// belongs refuses a row that is not the one asked for. It could be one that the user must not see, and would be taken
// for the other.
func (e *Entry) belongs(dataSourceID, entryID int64) error {
	if e.DataSourceID != 0 && e.DataSourceID != dataSourceID || entryID != 0 && e.ID != 0 && e.ID != entryID {
		return errors.New("the server answered with another row")
	}
	return nil
}

func sourcePath(dataSourceID int64, rest string) (string, error) {
	if dataSourceID <= 0 {
		return "", fmt.Errorf("datasource: data source id is %d: ids are positive", dataSourceID)
	}
	path := strconv.AppendInt(append(make([]byte, 0, 64), "v1/data-sources/"...), dataSourceID, 10)
	if rest != "" {
		path = append(append(path, '/'), rest...)
	}
	return string(path), nil
}

func entryPath(dataSourceID, entryID int64) (string, error) {
	if entryID <= 0 {
		return "", fmt.Errorf("datasource: entry id is %d: ids are positive", entryID)
	}
	return sourcePath(dataSourceID, "data/"+strconv.FormatInt(entryID, 10))
}
