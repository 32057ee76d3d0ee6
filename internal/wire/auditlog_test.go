package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

func TestOfAnAuditLogOnlyWhatIsUsableIsTaken(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for line, want := range map[string]*wire.AuditEntry{
		`{"id":7,"type":"dataSource.entry.create","createdAt":"2026-01-02T03:04:05.678Z","dataSourceId":3}`: {ID: 7, DataSource: 3, At: when},
		`{"id":"7","type":"dataSource.entry.update","createdAt":null,"dataSourceId":"3","data":{"id":4}}`:   {ID: 7, DataSource: 3},
		`{"id":7,"type":"dataSource.entry.delete","createdAt":12,"dataSourceId":3}`:                         {ID: 7, DataSource: 3, Deleted: true},
		`{"id":7,"type":"dataSource.commit","createdAt":"yesterday","dataSourceId":3}`:                      {ID: 7, DataSource: 3, Deleted: true},
		`{"id":7,"type":"dataSource.update","createdAt":"2026-01-02T05:04:05.678+02:00","dataSourceId":3}`:  {ID: 7, DataSource: 3, At: when},
		`{"id":7,"type":"app.analytics","dataSourceId":3}`:                                                  nil,
		`{"id":7,"type":["dataSource.entry.create"],"dataSourceId":3}`:                                      nil,
		`{"id":7,"dataSourceId":3}`:                                                       nil,
		`{"id":7,"type":"dataSource.entry.create"}`:                                       nil,
		`{"id":7,"type":"dataSource.entry.create","dataSourceId":{"id":3}}`:               nil,
		`{"id":7,"type":"dataSource.entry.create","dataSourceId":-3}`:                     nil,
		`{"id":7.5,"type":"dataSource.entry.create","dataSourceId":3}`:                    nil,
		`{"id":1e300,"type":"dataSource.entry.create","dataSourceId":3}`:                  nil,
		`{"id":null,"type":"dataSource.entry.create","dataSourceId":3}`:                   nil,
		`{"id":"99999999999999999999","type":"dataSource.entry.create","dataSourceId":3}`: nil,
		`null`: nil, `[]`: nil, `"x"`: nil, `7`: nil,
	} {
		got, lines, err := wire.ParseAudit(json.RawMessage(`{"logs":[` + line + `],"query":{}}`))
		require.NoError(t, err, line)
		assert.Equal(t, 1, lines, "it counts for whether there are more: %s", line)
		if want == nil {
			assert.Empty(t, got, line)
			continue
		}
		if assert.Len(t, got, 1, line) {
			assert.True(t, want.At.Equal(got[0].At), line)
			got[0].At = want.At
			assert.Equal(t, *want, got[0], line)
		}
	}
	for _, bad := range []string{``, `null`, `[]`, `{}`, `{"logs":null}`, `{"logs":{}}`, `{"logs":"x"}`, `{"logs":[}`, strings.Repeat(`[`, 10)} {
		_, _, err := wire.ParseAudit(json.RawMessage(bad))
		assert.ErrorIs(t, err, wire.ErrAudit, bad)
	}
}

func TestOnlyOneOrganizationIsUsable(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int64{
		`{"organizations":[{"id":7,"name":"x"}]}`: 7, `{"organizations":[{"id":"7"}]}`: 7,
		`{"organizations":[{"id":7},{"id":8}]}`: 0, `{"organizations":[]}`: 0, `{"organizations":null}`: 0, `null`: 0, ``: 0, `{"organizations":[{}]}`: 0,
	} {
		assert.Equal(t, want, wire.ParseOrganization(json.RawMessage(answer)), answer)
	}
}
