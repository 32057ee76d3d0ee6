package wire

import (
	"encoding/base64"
	"errors"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Columns that describe an attachment. Fliplet's widget sizes the bubble of an image
// by them.
const (
	FileType    = "fileType"
	ImageWidth  = "imageWidth"
	ImageHeight = "imageHeight"
	// ImageFile is the FileType of an image.
	ImageFile = "image"
	// SealedFiles holds the keys of the files that were encrypted before they were
	// uploaded, sealed like a body. The column is this SDK's own.
	SealedFiles = "flSealedFiles"
	// FileParts names the parts of an upload. It is documented that the brackets make
	// the column a list.
	FileParts = File + "[]"
)

// FileKey is the value of the column FileSchema that makes the server store uploaded
// files under a private key, as Fliplet's widget sends it.
func FileKey(key string) M { return M{File: M{"encryptionKey": key}} }

// DownloadKey are the URL parameters for a private file. It is documented that the key
// goes into the URL; the parameter's name is this SDK's choice.
func DownloadKey(key string) url.Values { return url.Values{"encryptionKey": {key}} }

// DataURL is a file inside a URL: data:image/png;base64,….
type DataURL struct {
	ContentType, Name string
	Content           []byte
}

// IsDataURL reports whether a URL holds a base64 file instead of an address. It is
// documented that such URLs are uploaded.
func IsDataURL(s string) bool {
	head, _, ok := strings.Cut(s, ",")
	return ok && len(head) > 5 && strings.EqualFold(head[:5], "data:") && strings.HasSuffix(strings.ToLower(head), ";base64")
}

// ParseDataURL reads a base64 data URL. Fliplet's widget appends the file's name as
// ";filename:photo.png", which no standard has.
func ParseDataURL(s string) (DataURL, error) {
	if !IsDataURL(s) {
		return DataURL{}, errors.New("not a base64 data URL")
	}
	head, content, _ := strings.Cut(s, ",")
	var d DataURL
	d.ContentType, _, _ = strings.Cut(head[len("data:"):], ";")
	content, rest, _ := strings.Cut(content, ";")
	if name, ok := strings.CutPrefix(rest, "filename:"); ok {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		if name = path.Base(strings.ReplaceAll(name, `\`, "/")); name != "." && name != "/" {
			d.Name = name
		}
	}
	content = strings.TrimRight(content, "=")
	var err error
	if d.Content, err = base64.RawStdEncoding.DecodeString(content); err != nil {
		return DataURL{}, errors.New("the data URL is not valid base64")
	}
	return d, nil
}

// types are the extensions of common attachments, the usual one of a type first. The
// operating system's tables are not used: types must not depend on the machine.
var types = [...]struct{ extension, contentType string }{
	{"png", "image/png"}, {"jpg", "image/jpeg"}, {"jpeg", "image/jpeg"}, {"gif", "image/gif"}, {"webp", "image/webp"},
	{"svg", "image/svg+xml"}, {"bmp", "image/bmp"}, {"tiff", "image/tiff"}, {"tif", "image/tiff"}, {"heic", "image/heic"},
	{"pdf", "application/pdf"}, {"txt", "text/plain"}, {"csv", "text/csv"}, {"md", "text/markdown"}, {"html", "text/html"},
	{"json", "application/json"}, {"xml", "application/xml"}, {"xml", "text/xml"}, {"rtf", "application/rtf"},
	{"doc", "application/msword"}, {"xls", "application/vnd.ms-excel"}, {"ppt", "application/vnd.ms-powerpoint"},
	{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	{"mp3", "audio/mpeg"}, {"m4a", "audio/mp4"}, {"wav", "audio/wav"}, {"wav", "audio/wave"}, {"ogg", "audio/ogg"},
	{"ogg", "application/ogg"}, {"aac", "audio/aac"}, {"mp4", "video/mp4"}, {"mov", "video/quicktime"}, {"webm", "video/webm"},
	{"avi", "video/x-msvideo"}, {"avi", "video/avi"}, {"ics", "text/calendar"}, {"vcf", "text/vcard"},
}

// ContentTypeOf is the type that a name's extension stands for, "" when unknown.
func ContentTypeOf(name string) string {
	extension := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	i := slices.IndexFunc(types[:], func(t struct{ extension, contentType string }) bool { return t.extension == extension })
	if i < 0 {
		return ""
	}
	return types[i].contentType
}

// NameFor makes a name for a file without one, "" if the type is unknown. It is
// documented that the server refuses unknown extensions.
func NameFor(contentType string) string {
	base, _, _ := strings.Cut(contentType, ";")
	base = strings.ToLower(strings.TrimSpace(base))
	i := slices.IndexFunc(types[:], func(t struct{ extension, contentType string }) bool { return t.contentType == base })
	if i < 0 {
		return ""
	}
	return "file." + types[i].extension
}
