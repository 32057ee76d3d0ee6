package datasource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// MediaFile is a file in the media library.
type MediaFile struct {
	ID                int64
	Name, ContentType string
	// URL serves the file. When IsEncrypted it wants the credentials that Download adds.
	URL                                                     string
	Path, Thumbnail                                         string
	IsEncrypted                                             bool
	AppID, OrganizationID, MediaFolderID, DataSourceEntryID int64
	CreatedAt, UpdatedAt                                    time.Time
	DeletedAt                                               *time.Time
	// Extra holds every field that has no place above, as it came ("size", "metadata" …). nil when there is none.
	Extra map[string]json.RawMessage
}

// Upload stores files in the media library and returns their descriptions. The server shrinks large images. query holds
// one of appId, folderId and organizationId. A part without a Field gets the names files[0], name[0] and so on. progress
// may be nil; see Write.Progress.
func (c *Client) Upload(ctx context.Context, query url.Values, parts []Part, progress func(sent, total int64)) ([]MediaFile, error) {
	if query.Get("appId") == "" && query.Get("folderId") == "" && query.Get("organizationId") == "" {
		return nil, errors.New("datasource: query names no place for the files: give appId, folderId or organizationId")
	}
	if len(parts) == 0 {
		return nil, errors.New("datasource: there are no files to upload: give at least one Part")
	}
	named := make([]Part, len(parts))
	fields := map[string][]string{}
	for i, p := range parts {
		if p.Field == "" {
			p.Field = fmt.Sprintf("files[%d]", i)
			fields[fmt.Sprintf("name[%d]", i)] = []string{p.Filename}
		}
		named[i] = p
	}
	body, err := newForm(fields, named, progress)
	if err != nil {
		return nil, err
	}
	var files []MediaFile
	err = c.do(ctx, &call{method: http.MethodPost, path: "v1/media/files", query: query.Encode(), form: body}, func(answer []byte) error {
		files = nil
		err := decode(answer, func(d *decoder) error {
			_, err := d.wrapped("files", "file", func() error { return d.mediaFile(&files) }, nil)
			return err
		})
		if err == nil && len(files) == 0 {
			err = errNoFiles
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}

func (d *decoder) mediaFile(list *[]MediaFile) error {
	if d.peek() != '{' {
		return d.skip()
	}
	var f MediaFile
	err := d.object(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			f.ID, _, err = d.integer()
		case "name":
			f.Name, err = d.str()
		case "contentType":
			f.ContentType, err = d.str()
		case "path":
			f.Path, err = d.str()
		case "url":
			f.URL, err = d.str()
		case "thumbnail":
			f.Thumbnail, err = d.str()
		case "isEncrypted":
			f.IsEncrypted, err = d.boolean()
		case "appId":
			f.AppID, _, err = d.integer()
		case "organizationId":
			f.OrganizationID, _, err = d.integer()
		case "mediaFolderId":
			f.MediaFolderID, _, err = d.integer()
		case "dataSourceEntryId":
			f.DataSourceEntryID, _, err = d.integer()
		case "createdAt":
			f.CreatedAt, err = d.time()
		case "updatedAt":
			f.UpdatedAt, err = d.time()
		case "deletedAt":
			f.DeletedAt, err = d.deletion()
		default:
			err = d.extra(&f.Extra, name)
		}
		return err
	})
	if f.ID != 0 {
		*list = append(*list, f)
	}
	return err
}
