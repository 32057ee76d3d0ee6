package chat

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// attach adds the files of a draft to its row: URLs are stored as they are,
// content is uploaded with the row.
func (c *Chat) attach(_ context.Context, _ int64, row M, files []File) (datasource.Write, error) {
	urls := []string{}
	var parts []datasource.Part
	for _, f := range files {
		if f.URL != "" {
			urls = append(urls, f.URL)
			continue
		}
		parts = append(parts, datasource.Part{Field: wire.File + "[]", Filename: f.Name, ContentType: f.ContentType, Content: f.Content})
	}
	if len(urls) > 0 || len(parts) == 0 {
		row[wire.File] = urls
	}
	return datasource.Write{Data: row, Files: parts}, nil
}

// unlock prepares the URLs of a message's attachments for download.
func (c *Chat) unlock(context.Context, *Message) {}
