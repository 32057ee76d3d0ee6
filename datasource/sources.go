package datasource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DataSource is one data source. Fields that the server left out, sent as null or with another type are zero.
type DataSource struct {
	ID int64
	// Name is not unique.
	Name string
	// Type is "" for ordinary data sources. Others name their purpose: those of a chat are "conversation".
	Type                  string
	AppID, OrganizationID int64
	// Columns are the declared names; the server adds to them as rows bring new ones.
	Columns []string
	// Definition is free JSON, nil when absent or null. UpdateDataSource replaces it whole: keep what you do not know.
	Definition json.RawMessage
	// Hooks and AccessRules are as the server has them, nil when absent or null. Without access rules there is no
	// restriction; with an empty list apps are denied everything.
	Hooks, AccessRules   json.RawMessage
	CreatedAt, UpdatedAt time.Time
	// DeletedAt is set for a data source in the trash.
	DeletedAt *time.Time
	// Extra holds every field that has no place above, as it came. nil when there is none.
	Extra map[string]json.RawMessage
	// Err says why Definition, Hooks or AccessRules could not be read, although they exist: one of them breaks a limit, or
	// all together do, and Err matches ErrRowLimit. Columns and fields of Extra that break one are left out. Only methods
	// that return several data sources return one with an Err; for others it is their error.
	Err error
}

// SourceFilter narrows a list of data sources. Zero fields are not sent. A server may ignore a filter that it does not
// know: check what comes back.
type SourceFilter struct {
	AppID, OrganizationID int64
	Type                  string
	ExcludeTypes          []string
	// Attributes names the fields to return.
	Attributes []string
	// Order is a field such as updatedAt. The server's default is name, Asc.
	Order     string
	Direction Direction
	// Definition must be contained in the data source's definition: every key and value, arrays by subset.
	Definition M
}

// query writes the parameters in the order of the documentation.
func (f *SourceFilter) query() (string, error) {
	direction := f.Direction
	if direction != "" {
		var err error
		if direction, err = direction.canonical(); err != nil {
			return "", fmt.Errorf("datasource: SourceFilter: %w", err)
		}
	}
	definition := ""
	if f.Definition != nil {
		text, err := appendValue(nil, f.Definition)
		if err != nil {
			return "", fmt.Errorf("datasource: SourceFilter: Definition: %w", err)
		}
		definition = string(text)
	}
	if f.AppID < 0 || f.OrganizationID < 0 {
		return "", errors.New("datasource: SourceFilter: AppID and OrganizationID are positive, or 0 for none")
	}
	var b strings.Builder
	for _, p := range [...]struct{ name, value string }{
		{"appId", idText(f.AppID)},
		{"organizationId", idText(f.OrganizationID)},
		{"type", f.Type},
		{"excludeTypes", strings.Join(f.ExcludeTypes, ",")},
		{"attributes", strings.Join(f.Attributes, ",")},
		{"order", f.Order},
		{"direction", string(direction)},
		{"definition", definition},
	} {
		if p.value != "" {
			b.WriteString("&" + p.name + "=" + url.QueryEscape(p.value))
		}
	}
	return strings.TrimPrefix(b.String(), "&"), nil
}

func idText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// NewDataSource is a data source to create. Name is required, and AppID or OrganizationID. nil fields are not sent.
type NewDataSource struct {
	Name, Type            string
	AppID, OrganizationID int64
	Columns               []string
	// Entries are flat rows to begin with.
	Entries                                         []M
	Definition, Hooks, AccessRules, AppCapabilities json.RawMessage
	Bundle, Encrypted                               *bool
}

func (n *NewDataSource) body() ([]byte, error) {
	switch {
	case n.Name == "":
		return nil, errors.New("datasource: NewDataSource: Name is empty")
	case n.AppID < 0 || n.OrganizationID < 0 || n.AppID == 0 && n.OrganizationID == 0:
		return nil, errors.New("datasource: NewDataSource: give AppID or OrganizationID, which are positive")
	}
	var o object
	if n.AppID != 0 {
		o.add("appId", n.AppID)
	}
	if n.OrganizationID != 0 {
		o.add("organizationId", n.OrganizationID)
	}
	if n.Type != "" {
		o.add("type", n.Type)
	}
	o.add("name", n.Name)
	o.addRaw("definition", n.Definition)
	if n.Columns != nil {
		o.add("columns", n.Columns)
	}
	if n.Entries != nil {
		o.add("entries", n.Entries)
	}
	o.addFlag("bundle", n.Bundle)
	o.addFlag("encrypted", n.Encrypted)
	o.addRaw("hooks", n.Hooks)
	o.addRaw("accessRules", n.AccessRules)
	o.addRaw("appCapabilities", n.AppCapabilities)
	return o.bytes()
}

// SourcePatch changes a data source. Only what is not nil is sent; json.RawMessage("null") sends null.
type SourcePatch struct {
	Name    *string
	Columns []string
	// Definition replaces the whole definition: read it, change it, and send all of it back.
	Definition                          json.RawMessage
	Hooks, AccessRules, AppCapabilities json.RawMessage
	Bundle                              *bool
}

func (p *SourcePatch) body() ([]byte, error) {
	var o object
	if p.Name != nil {
		if *p.Name == "" {
			return nil, errors.New("datasource: SourcePatch: Name is empty: leave it nil to keep the name")
		}
		o.add("name", *p.Name)
	}
	if p.Columns != nil {
		o.add("columns", p.Columns)
	}
	o.addRaw("definition", p.Definition)
	o.addFlag("bundle", p.Bundle)
	o.addRaw("hooks", p.Hooks)
	o.addRaw("accessRules", p.AccessRules)
	o.addRaw("appCapabilities", p.AppCapabilities)
	if o.n == 0 && o.fault == nil {
		return nil, errors.New("datasource: SourcePatch is empty: set what should change")
	}
	return o.bytes()
}

func (o *object) addFlag(name string, flag *bool) {
	if flag != nil {
		o.add(name, *flag)
	}
}

// DataSources lists data sources. A list with something in it that is not a data source with an id, or beside an error, is
// an error. So is an answer without a list by its name that holds what is not of the type that was asked for.
func (c *Client) DataSources(ctx context.Context, f SourceFilter) ([]DataSource, error) {
	list, _, err := c.DatedDataSources(ctx, f)
	return list, err
}

// DatedDataSources is DataSources with the time of the answer, as that of [Result.Answered], for programs that compare it
// with what the list shows. It makes one request.
func (c *Client) DatedDataSources(ctx context.Context, f SourceFilter) (list []DataSource, answered time.Time, err error) {
	query, err := f.query()
	if err != nil {
		return nil, answered, err
	}
	kind := f.Type
	if len(f.Attributes) > 0 && !slices.Contains(f.Attributes, "type") {
		kind = "" // the answer does not say it
	}
	cl := &call{method: http.MethodGet, path: "v1/data-sources", query: query, read: true, list: sourceFields}
	if list, err = c.sources(ctx, cl, kind); err != nil {
		return nil, answered, err
	}
	return list, cl.answered(), nil
}

// DataSource returns one data source. One that does not exist is ErrNotFound. An answer with another one is an error that
// says nothing about it.
func (c *Client) DataSource(ctx context.Context, id int64) (*DataSource, error) {
	path, err := sourcePath(id, "")
	if err != nil {
		return nil, err
	}
	return c.source(ctx, &call{method: http.MethodGet, path: path, read: true}, id)
}

// DataSourceByName returns the data source with this name in the context of the token. Names are not unique; the server
// chooses among several.
func (c *Client) DataSourceByName(ctx context.Context, name string) (*DataSource, error) {
	if name == "" || name == "." || name == ".." {
		return nil, fmt.Errorf("datasource: name is %q, which a path cannot hold", name)
	}
	// Without the flag, a name of digits would be taken for an id.
	return c.source(ctx, &call{method: http.MethodGet, path: "v1/data-sources/" + url.PathEscape(name), query: "dsn", read: true}, 0)
}

// CreateDataSource creates a data source and returns it as the server has it. When the answer of success has neither its
// name nor its type, a second request reads what has its id; a data source of another name or type is an error that is
// Doubtful.
func (c *Client) CreateDataSource(ctx context.Context, n NewDataSource) (*DataSource, error) {
	body, err := n.body()
	if err != nil {
		return nil, err
	}
	cl := &call{method: http.MethodPost, path: "v1/data-sources", body: body}
	ds, err := c.source(ctx, cl, 0)
	if err != nil || n.is(ds) {
		return ds, err
	}
	if stored, failed := c.DataSource(ctx, ds.ID); failed == nil && n.is(stored) {
		return stored, nil
	}
	return nil, &callError{op: cl.op(), err: errors.New("the answer does not hold the new data source"), doubtful: true}
}

// is reports whether a data source has the name or type of the new one, and no others.
func (n *NewDataSource) is(ds *DataSource) bool {
	name, kind := strings.TrimSpace(ds.Name), ds.Type
	return (name == "" || name == strings.TrimSpace(n.Name)) && (kind == "" || n.Type == "" || kind == n.Type) && (name != "" || kind != "" && n.Type != "")
}

// UpdateDataSource changes a data source and returns it as the server has it. Two clients that change the definition at
// once can lose one of the changes.
func (c *Client) UpdateDataSource(ctx context.Context, id int64, p SourcePatch) (*DataSource, error) {
	path, err := sourcePath(id, "")
	if err != nil {
		return nil, err
	}
	body, err := p.body()
	if err != nil {
		return nil, err
	}
	return c.source(ctx, &call{method: http.MethodPut, path: path, body: body}, id)
}

// DeleteDataSource moves a data source to the trash. The server refuses it to tokens of apps.
func (c *Client) DeleteDataSource(ctx context.Context, id int64) error {
	path, err := sourcePath(id, "")
	if err != nil {
		return err
	}
	return c.do(ctx, &call{method: http.MethodDelete, path: path}, confirmed)
}

// source makes a call that is answered with one data source, the one with an id unless that is 0.
func (c *Client) source(ctx context.Context, cl *call, id int64) (*DataSource, error) {
	list, err := c.sources(ctx, cl, "")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, &callError{op: cl.op(), err: errors.New("the answer holds no data source"), doubtful: !cl.read}
	}
	if id != 0 && list[0].ID != id {
		return nil, &callError{op: cl.op(), err: fmt.Errorf("the answer holds data source %d instead of %d", list[0].ID, id), doubtful: !cl.read}
	}
	if err := errorOf("data source", list[0].ID, list[0].Err); err != nil {
		return nil, &callError{op: cl.op(), err: err, doubtful: !cl.read}
	}
	return &list[0], nil
}

// sources makes a call that is answered with data sources, of a type unless that is "".
func (c *Client) sources(ctx context.Context, cl *call, kind string) ([]DataSource, error) {
	var list []DataSource
	err := c.do(ctx, cl, func(body []byte) error {
		var err error
		list, err = decodeSources(body, rowBytes(c.maxBytes), kind)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
