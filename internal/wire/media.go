package wire

import (
	"maps"
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

// WithKey adds the key of a private file to its URL, as the JavaScript API does.
func WithKey(file, key string) string { return setKey(file, DownloadKey(key)) }

// CutKey undoes WithKey, and returns the key; "" if there is none. It reports false for a
// URL that may hold one and cannot be read.
func CutKey(file string) (plain, key string, ok bool) {
	u, err := url.Parse(file)
	if err != nil {
		return file, "", false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return file, "", false
	}
	for name := range DownloadKey("") {
		if values, has := query[name]; has {
			key = values[0]
			return setKey(file, nil), key, true
		}
	}
	return file, "", true
}

func setKey(file string, params url.Values) string {
	u, err := url.Parse(file)
	if err != nil {
		return file
	}
	query := u.Query()
	for name := range DownloadKey("") {
		query.Del(name)
	}
	maps.Copy(query, params)
	u.RawQuery = query.Encode()
	return u.String()
}

// EachFile applies fn to the URLs in a column of files, however it holds them.
func EachFile(v any, fn func(string) string) any {
	switch v := v.(type) {
	case []string:
		out := make([]string, len(v))
		for i, file := range v {
			out[i] = fn(file)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, file := range v {
			if out[i] = file; Text(file) != "" {
				out[i] = fn(Text(file))
			}
		}
		return out
	case string:
		if list := Strings(v); len(list) > 0 && v != list[0] { // JSON text
			return EachFile(list, fn)
		}
		return fn(v)
	}
	return v
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
