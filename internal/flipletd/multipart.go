package flipletd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxParts bounds a multipart body; far more than a form has.
const maxParts = 2000

// upload is the files of a multipart insert or update, by field.
type upload struct {
	fields []uploadField
}

// uploadField is a field with at least one file. A list may mix files with
// texts, which are URLs of files uploaded earlier.
type uploadField struct {
	name  string
	list  bool // sent as name[]
	items []uploadItem
	// From _flSchema.
	discard  bool  // do not keep the list that is stored
	folderID int64 // 0 is none
	key      string
}

type uploadItem struct {
	text string
	file *filePart // nil: the item is text
}

// filePart is one file as it was sent.
type filePart struct {
	name, contentType string
	content           []byte
}

// readMultipart reads a form with files. Texts stay texts, except that the JSON of an
// object or array is decoded. That is assumed, since the chat sends readBy that way.
func (c *call) readMultipart(boundary string) (*submission, error) {
	fields, err := c.parts(boundary)
	if err != nil {
		return nil, err
	}
	sub := &submission{data: make(map[string]any)}
	var schema map[string]any
	for _, f := range fields {
		if f.name == "_flSchema" && len(f.items) == 1 && f.items[0].file == nil {
			v, err := decodeJSON([]byte(f.items[0].text))
			s, ok := v.(map[string]any)
			if err != nil || !ok {
				return nil, badRequest("_flSchema must be a JSON object.")
			}
			schema = s
			continue
		}
		hasFile := false
		for _, item := range f.items {
			if item.file != nil {
				hasFile = true
				if err := c.checkFile(item.file); err != nil {
					return nil, err
				}
			}
		}
		if hasFile {
			if sub.upload == nil {
				sub.upload = &upload{}
			}
			sub.upload.fields = append(sub.upload.fields, *f)
			sub.data[f.name] = nil // access rules see that the column is sent
			continue
		}
		if !f.list && len(f.items) == 1 {
			sub.data[f.name] = textPart(f.items[0].text)
			continue
		}
		list := make([]any, len(f.items))
		for i, item := range f.items {
			list[i] = item.text
		}
		sub.data[f.name] = list
	}
	if sub.upload != nil {
		sub.upload.follow(schema, c)
	}
	return sub, nil
}

// textPart decodes a text part that holds an object or an array.
func textPart(s string) any {
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		if v, err := decodeJSON([]byte(s)); err == nil {
			return v
		}
	}
	return s
}

// parts collects the parts of a form by field, in the order of first
// appearance. Nothing of a form is looked at before all of it was read.
func (c *call) parts(boundary string) ([]*uploadField, error) {
	if boundary == "" {
		return nil, badRequest("The multipart body has no boundary.")
	}
	reader := multipart.NewReader(bytes.NewReader(c.body), boundary)
	byName := make(map[string]*uploadField)
	var fields []*uploadField
	for n := 0; ; n++ {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			if n == 0 && !bytes.Contains(c.body, []byte("--"+boundary+"--")) {
				return nil, badRequest("The multipart body does not use its boundary.")
			}
			return fields, nil
		}
		if err != nil {
			return nil, badRequest("The multipart body is malformed.")
		}
		if n == maxParts {
			return nil, badRequest("The multipart body has more than %d parts.", maxParts)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, badRequest("The multipart body is malformed.")
		}
		name, list := strings.CutSuffix(part.FormName(), "[]")
		if name == "" || !utf8.ValidString(name) {
			return nil, badRequest("A part of the multipart body has no valid name.")
		}
		f := byName[name]
		if f == nil {
			f = &uploadField{name: name}
			byName[name] = f
			fields = append(fields, f)
		}
		f.list = f.list || list || len(f.items) > 0
		if file := part.FileName(); file != "" {
			f.items = append(f.items, uploadItem{file: &filePart{
				name: strings.ToValidUTF8(file, "\uFFFD"), contentType: part.Header.Get("Content-Type"), content: content,
			}})
			continue
		}
		if !utf8.Valid(content) {
			return nil, badRequest("The part %q is not valid UTF-8.", name)
		}
		f.items = append(f.items, uploadItem{text: string(content)})
	}
}

// follow applies _flSchema, whose keys are field names.
func (u *upload) follow(schema map[string]any, c *call) {
	for i := range u.fields {
		f := &u.fields[i]
		f.folderID, _ = wholeNumber(c.param("folderId"))
		s, ok := schema[f.name].(map[string]any)
		if !ok {
			continue
		}
		f.discard = s["append"] == false
		f.key, _ = s["encryptionKey"].(string)
		if id, ok := wholeNumber(s["mediaFolderId"]); ok {
			f.folderID = id
		}
		if name, _ := s["name"].(string); name != "" {
			for _, item := range f.items {
				if item.file != nil {
					item.file.name = path.Base(name)
				}
			}
		}
	}
}

// keep plans the files of a submission and puts their URLs and ids into its
// columns: baz and bazMediaFileId, lists for a list. An update adds to a list
// that is stored unless _flSchema says append:false.
func (c *call) keep(tx *tx, m *meta, sub *submission, stored map[string]any) {
	delete(sub.data, "_flSchema") // assumed: an instruction is not a column
	if sub.upload == nil {
		return
	}
	for _, f := range sub.upload.fields {
		var urls, ids []any
		for _, item := range f.items {
			if item.file == nil {
				urls = append(urls, item.text)
				continue
			}
			file := c.newFile(tx, item.file)
			file.folderID, file.key, file.appID, file.orgID = f.folderID, f.key, m.appID, m.orgID
			urls = append(urls, c.fileURL(file))
			ids = append(ids, json.Number(strconv.FormatInt(file.id, 10)))
		}
		idColumn := f.name + "MediaFileId"
		if !f.list {
			sub.data[f.name], sub.data[idColumn] = urls[0], ids[0]
			continue
		}
		if !f.discard {
			if old, ok := stored[f.name].([]any); ok {
				urls = append(old[:len(old):len(old)], urls...)
			}
			if old, ok := stored[idColumn].([]any); ok {
				ids = append(old[:len(old):len(old)], ids...)
			}
		}
		sub.data[f.name], sub.data[idColumn] = urls, ids
	}
}
