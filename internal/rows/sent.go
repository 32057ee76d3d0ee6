package rows

import (
	"encoding/json"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Sent finds the row of a send among rows of its guid: of those that hold what was
// written, the one with the lowest id, or nil. same compares what is sealed in a row.
func Sent(found []datasource.Entry, conversation int64, write datasource.Write, same func(*datasource.Entry) bool) *datasource.Entry {
	var first *datasource.Entry
	for i := range found {
		r := &found[i]
		if first != nil && r.ID >= first.ID || wire.Text(r.Data[wire.GUID]) != wire.Text(write.Data[wire.GUID]) ||
			wire.Text(r.Data[wire.From]) != wire.Text(write.Data[wire.From]) || !sameFiles(r.Data, write) {
			continue
		}
		if r.DataSourceID = conversation; !same(r) {
			continue
		}
		if wire.Text(write.Data[wire.Body]) != "" || sameColumns(r.Data, write.Data) {
			first = r
		}
	}
	return first
}

// sameFiles compares attachments: the URLs that were given, and how many there are. Of
// an upload the server chooses the URL.
func sameFiles(stored datasource.M, write datasource.Write) bool {
	left := map[string]int{}
	files := wire.Strings(stored[wire.File])
	for _, f := range files {
		left[f]++
	}
	given := append(wire.Strings(write.Data[wire.File]), wire.Strings(write.Data[wire.FileParts])...)
	for _, f := range given {
		if left[f]--; left[f] < 0 {
			return false
		}
	}
	return len(files) == len(given)+len(write.Files)
}

// sameColumns compares the columns of a message without text. Of a row that is sent as
// a form the server stores text.
func sameColumns(stored, written datasource.M) bool {
	for name, want := range written {
		switch name {
		case wire.ReadBy, wire.File, wire.FileParts, wire.FileSchema, wire.SealedFiles:
			continue
		}
		got := stored[name]
		if want == nil && got == nil || columnText(got) == columnText(want) {
			continue
		}
		return false
	}
	return true
}

// columnText is a column as a form carries it.
func columnText(v any) string {
	if s := wire.Text(v); s != "" || v == "" {
		return s
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
