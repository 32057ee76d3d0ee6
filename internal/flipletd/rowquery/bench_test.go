package rowquery_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The clauses that a chat sends most.
var busyClauses = map[string]string{
	"unread": `{"$not":{"data":{"$contains":{"readBy":["u1"]}}}}`,
	"keyset": `{"$or":[{"updatedAt":{"$gt":"2024-05-02T10:00:00.500Z"}},{"updatedAt":"2024-05-02T10:00:00.500Z","id":{"$gt":6}}]}`,
	"sender": `{"data":{"fromUserId":"u2"},"dataSourceId":{"$in":[100,101,102]},"deletedAt":null}`,
	"search": `{"data":{"body":{"$iLike":"%see you%"}}}`,
}

const busyMessage = `{"fromUserId":"u2","body":"Hello there, SEE you at nine","readBy":["u2","u3","u4"],"n":5,"isDeleted":false}`

func TestMatchAllocatesNothing(t *testing.T) {
	row := message(t, busyMessage)
	for name, where := range busyClauses {
		f := compile(t, where)
		matched, err := f.Match(row)
		require.NoError(t, err)
		require.True(t, matched, name)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = f.Match(row) }), name)
	}
}

func BenchmarkMatch(b *testing.B) {
	for name, where := range busyClauses {
		b.Run(name, func(b *testing.B) {
			f, row := compile(b, where), message(b, busyMessage)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = f.Match(row)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	where, err := decode([]byte(busyClauses["keyset"]))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		mustCompile(b, where)
	}
}
