package datasource_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

type routes []string

func (r *routes) OnRequest(_ context.Context, q hooks.Request) { *r = append(*r, q.Route) }

func TestHooksAreToldWhichCallOfTheAPIARequestIs(t *testing.T) {
	t.Parallel()
	srv := fliplettest.New(t, fliplettest.InProcess())
	told := new(routes)
	c := srv.Client().View(told)
	for path, want := range map[string]string{
		"v1/data-sources/7":             "v1/data-sources/{}",
		"v1/data-sources/Contacts/data": "v1/data-sources/{}/data",
		"v1/organizations/7/logs":       "v1/organizations/{}/logs",
		"v1/organizations":              "v1/organizations",
		"v1/widget-instances/7":         "v1/widget-instances/{}",
		"v1/somebody/secret":            "v1/{}/{}",
	} {
		_ = c.Call(t.Context(), "GET", path, nil, nil, nil) // it need not be there
		assert.Equal(t, want, (*told)[len(*told)-1], path)
	}
}
