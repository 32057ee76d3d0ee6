package flipletd

import "slices"

// What Fliplet says of its audit log is the call, its parameters, the types and, for an
// entry that was created, an example. The rest is assumed, and stands in this file: what
// the other types hold, what a batch writes, who the user of a token is.

// logType is a type of what is logged.
type logType uint8

const (
	// logRowsOnly is a write that is logged as the rows that it changes, and not as a whole.
	logRowsOnly logType = iota
	logEntryCreate
	logEntryUpdate
	logEntryDelete
	logSourceCreate
	logSourceUpdate
	logSourceRemove  // into the trash
	logSourceRestore // out of it
	logSourceDelete  // for good
	logSourceRollback
	logSourceCommit
	logSourceImport // which replaced what was there
)

// logTypes are the documented names of the types, and what they say.
var logTypes = [...]struct{ name, description string }{
	logEntryCreate:    {"dataSource.entry.create", "A data source entry was created"},
	logEntryUpdate:    {"dataSource.entry.update", "A data source entry was updated"},
	logEntryDelete:    {"dataSource.entry.delete", "A data source entry was deleted"},
	logSourceCreate:   {"dataSource.create", "A data source was created"},
	logSourceUpdate:   {"dataSource.update", "The settings of a data source were changed"},
	logSourceRemove:   {"dataSource.remove", "A data source was moved to the bin"},
	logSourceRestore:  {"dataSource.restore", "A data source was restored"},
	logSourceDelete:   {"dataSource.delete", "A data source was deleted"},
	logSourceRollback: {"dataSource.rollback", "A data source was rolled back to a previous version"},
	logSourceCommit:   {"dataSource.commit", "Entries of a data source were changed at once"},
	logSourceImport:   {"dataSource.import", "A data source was overwritten by an import"},
}

func (t logType) String() string { return logTypes[t].name }

// logKept is how many changes are kept; the oldest go first. They take some 12 MB.
const logKept = 100_000

// logData is "data": the columns of an entry that was created, as the documented example
// has them; those that changed of one that was updated; what a change of a data source
// was about. Never a value of a row: a log shows no message and no token.
func logData(e *change, email any) map[string]any {
	data := map[string]any{"_userEmail": email}
	switch e.kind {
	case logEntryCreate, logEntryUpdate:
		data["columns"] = e.columns
	case logEntryDelete:
	case logSourceUpdate:
		data["dataSource"] = map[string]any{"id": e.sourceID, "name": e.whole.name}
		data["attributes"] = e.columns
	case logSourceCommit, logSourceImport, logSourceRollback:
		data["entries"] = map[string]any{"created": e.whole.created, "updated": e.whole.updated, "deleted": e.whole.deleted}
		fallthrough
	default:
		data["dataSource"] = map[string]any{"id": e.sourceID, "name": e.whole.name}
	}
	return data
}

// ofRows says that a change is about rows, and not about the data source that they are in.
func (e *change) ofRows() bool {
	switch e.kind {
	case logEntryCreate, logEntryUpdate, logEntryDelete, logSourceCommit, logSourceImport, logSourceRollback:
		return true
	}
	return false
}

// isChat says that the rows of a type of data sources are messages.
func isChat(kind string) bool { return kind == conversationType || kind == "chat" }

// attributes are the fields of a data source that an update sent.
func attributes(fields map[string]any) []string {
	var list []string
	for _, name := range []string{"accessRules", "appCapabilities", "bundle", "columns", "definition", "hooks", "name", "public"} {
		if _, sent := fields[name]; sent {
			list = append(list, name)
		}
	}
	return slices.Clip(list)
}

// userNumber is "userId": who v1/user says the holder of a token is.
func (c *credential) userNumber() int64 { return orElse(c.userID, c.id) }

// appOf is "appId": the app of the data source, else that of the token.
func appOf(m *meta, by *credential) int64 {
	if m.appID == 0 && by != nil {
		return by.appID
	}
	return m.appID
}
