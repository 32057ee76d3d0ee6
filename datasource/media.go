package datasource

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"time"
)

// Part is one file of a multipart request: Content, or Reader with its Size.
type Part struct {
	Field, Filename, ContentType string
	Content                      []byte
	Reader                       io.Reader
	// Size is the number of bytes Reader yields; 0 or less means unknown.
	Size int64
}

// MediaFile is an uploaded file.
type MediaFile struct {
	ID                                                      int64
	Name, ContentType, Path, URL, Thumbnail                 string
	IsEncrypted                                             bool
	AppID, OrganizationID, MediaFolderID, DataSourceEntryID int64
	CreatedAt, UpdatedAt                                    time.Time
	DeletedAt                                               *time.Time
	Extra                                                   map[string]json.RawMessage
}

// Upload stores files in the media library. query holds one of appId, folderId and organizationId.
func (c *Client) Upload(ctx context.Context, query url.Values, parts []Part, progress func(sent, total int64)) ([]MediaFile, error) {
	return nil, errUnfinished
}
