package datasource

import (
	"context"
	"encoding/json"
	"time"
)

// DataSource is one data source.
type DataSource struct {
	ID                             int64
	Name, Type                     string
	AppID, OrganizationID          int64
	Columns                        []string
	Definition, Hooks, AccessRules json.RawMessage
	CreatedAt, UpdatedAt           time.Time
	// DeletedAt is set for data sources in the trash.
	DeletedAt *time.Time
	// Extra holds every field that has no place above, as it came. nil when there is none.
	Extra map[string]json.RawMessage
}

// SourceFilter narrows a list of data sources. Zero fields are not sent.
type SourceFilter struct {
	AppID, OrganizationID    int64
	Type                     string
	ExcludeTypes, Attributes []string
	Order                    string
	Direction                Direction
	// Definition is matched by JSON containment.
	Definition M
}

// NewDataSource is a data source to create. Name and one of AppID and OrganizationID are required.
type NewDataSource struct {
	Name, Type                                      string
	AppID, OrganizationID                           int64
	Columns                                         []string
	Entries                                         []M
	Definition, Hooks, AccessRules, AppCapabilities json.RawMessage
	Bundle, Encrypted                               *bool
}

// SourcePatch changes a data source. Only what is not nil is sent.
type SourcePatch struct {
	Name                                            *string
	Columns                                         []string
	Definition, Hooks, AccessRules, AppCapabilities json.RawMessage
	Bundle                                          *bool
}

// DataSources lists data sources.
func (c *Client) DataSources(ctx context.Context, f SourceFilter) ([]DataSource, error) {
	return nil, errUnfinished
}

// DataSource returns one data source.
func (c *Client) DataSource(ctx context.Context, id int64) (*DataSource, error) {
	return nil, errUnfinished
}

// DataSourceByName returns the data source with this name.
func (c *Client) DataSourceByName(ctx context.Context, name string) (*DataSource, error) {
	return nil, errUnfinished
}

// CreateDataSource creates a data source.
func (c *Client) CreateDataSource(ctx context.Context, n NewDataSource) (*DataSource, error) {
	return nil, errUnfinished
}

// UpdateDataSource changes a data source. Definition is replaced as a whole by the server.
func (c *Client) UpdateDataSource(ctx context.Context, id int64, p SourcePatch) (*DataSource, error) {
	return nil, errUnfinished
}

// DeleteDataSource moves a data source to the trash.
func (c *Client) DeleteDataSource(ctx context.Context, id int64) error { return errUnfinished }
