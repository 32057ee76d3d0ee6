package rowquery

import (
	"encoding/json"
	"errors"
)

// Contains reports whether PostgreSQL's doc @> filter holds for two decoded
// JSON values.
func Contains(doc, filter any) bool { return false }

// ContainsRaw is [Contains] for two JSON texts.
func ContainsRaw(doc, filter json.RawMessage) (bool, error) {
	return false, errors.New("rowquery: containment is not there yet")
}
