package flipletd_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

func TestASeedMakesNoGUIDTwice(t *testing.T) {
	t.Parallel()
	j := &journal{records: map[string]flipletd.Record{}}
	seen := map[any]bool{}
	for run := range 3 { // of one server with one file
		k := start(t, func(c *flipletd.Config) { c.Journal, c.Seed = j, 7 })
		if run == 0 {
			k.source(m{"definition": m{"guid": "g"}})
		}
		for range 5 {
			seen[k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)["data"].(m)["g"]] = true
		}
	}
	assert.Len(t, seen, 15)
}

func TestOfSeveralMistakesTheSameOneIsTold(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	for _, c := range [][3]string{
		{"GET", "/v1/data-sources?appId=x&organizationId=y", ""},
		{"POST", "/v1/data-sources", `{"name":1,"columns":1,"definition":1,"hooks":1,"accessRules":1}`},
		{"POST", "/v1/data-sources", `{"name":"x","appId":"x","organizationId":"y"}`},
		{"POST", "/v1/data-sources/101/data/query", `{"aggregate":[{"$group":{"_id":1,"a":1,"b":{"$nope":1},"c":{"$never":1}}}]}`},
		{"POST", "/v1/data-sources/101/data/query", `{"aggregate":[{"$project":{"a":{"$nope":1},"b":{"$never":1}}}]}`},
		{"POST", "/v1/data-sources/101/data/query", `{"join":{"J":{"dataSourceId":101,"on":{"a":1,"b":2}},"K":{}}}`},
		{"POST", "/v1/data-sources/101/data/query", `{"where":{"$filters":[{"column":"a","condition":"datebetween","from":{"value":"x"},"to":{"value":"y"}}]}}`},
		{"GET", "/v1/media/zip?files=x&folders=y", ""},
	} {
		told := map[string]bool{}
		for range 30 {
			told[k.do(c[0], c[1], c[2]).refused(400)] = true
		}
		assert.Len(t, told, 1, c)
	}
}
