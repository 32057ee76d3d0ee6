package sift_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// FuzzCompileMatch looks for clauses and rows that panic, take long, fail with
// a foreign error, or are answered differently the second time or when the
// clause comes as a map. Seeds beside the ones here are in testdata/fuzz.
func FuzzCompileMatch(f *testing.F) {
	f.Add(`{}`, `{}`)
	f.Add(`{"a": {"$regex": "(a+)+\\1$", "$options": "i"}}`, `{"a": "aaaaaaaaaaaaaaaaaaaaaaab"}`)
	f.Add(`{"a": {"$in": [1, "x", null, {"$gt": "2024-01-05"}]}, "b.0.c": {"$ne": [1]}}`, `{"a": ["x"], "b": [{"c": [[1]]}]}`)
	f.Add(`{"$nor": [{"a": {"$mod": [2, 0], "$size": 1, "$type": "string"}}, {"b": {"$elemMatch": {"$exists": true}}}]}`, `{"a": "4", "b": [null]}`)
	f.Add(`{"$filters": [{"column": "a", "condition": "datebetween", "from": {"value": "2024-05-01"}, "unit": "week"}]}`, `{"a": "2024-05-02 10:00"}`)
	f.Add(`{"a": {"$all": ["x"], "$match": {"y": [1]}, "$iLike": "ΣΑΣ"}}`, `{"a": {"y": [1], "toString": 1}}`)
	for _, file := range vectorFiles {
		for _, v := range readVectorsIn(f, "testdata", file) {
			doc, _ := json.Marshal(v.Docs[0].Data)
			f.Add(string(v.Where), string(doc))
		}
	}
	f.Fuzz(func(t *testing.T, where, doc string) {
		var row, clause any
		if json.Unmarshal([]byte(doc), &row) != nil {
			return
		}
		start := time.Now()
		filter, err := sift.Compile(json.RawMessage(where))
		if json.Unmarshal([]byte(where), &clause) == nil {
			fromMap, mapErr := sift.Compile(clause)
			if (err == nil) != (mapErr == nil) {
				t.Fatalf("text: %v, map: %v", err, mapErr)
			}
			if mapErr == nil {
				_, _ = fromMap.Match(row)
			}
		}
		checkError(t, err)
		if err != nil {
			return
		}
		matched, err := filter.Match(row)
		checkError(t, err)
		again, errAgain := filter.Match(row)
		if matched != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("first %v, %v, then %v, %v", matched, err, again, errAgain)
		}
		// Tenths of a second at most. The rest is for a busy machine under the race
		// detector; without a bound on its steps a pattern would take years.
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("took %v", took)
		}
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*sift.Error](err); err != nil && (!ok || e.Kind < sift.UnknownOperator || e.Kind > sift.Refused) {
		t.Fatalf("not an error of the package: %v", err)
	}
}
