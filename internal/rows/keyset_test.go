package rows

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

func TestAKeysetIsTheConditionForWhatComesAfterAKey(t *testing.T) {
	t.Parallel()
	const at = "2026-02-01T08:00:00.250Z"
	moment := feed.Time(1_769_932_800_250_000)
	for want, w := range map[string]want{
		`{"updatedAt":{"$gt":"%s"}}`:                                                                 {column: updatedAt, after: feed.Key{Time: moment, ID: math.MaxInt64}},
		`{"updatedAt":{"$gte":"%s"}}`:                                                                {column: updatedAt, after: feed.Key{Time: moment}},
		`{"$or":[{"updatedAt":{"$gt":"%s"}},{"id":{"$gt":9}}]}`:                                      {column: updatedAt, after: feed.Key{Time: moment, ID: math.MaxInt64}, beyond: 9},
		`{"$or":[{"updatedAt":{"$gte":"%s"}},{"id":{"$gt":9}}]}`:                                     {column: updatedAt, after: feed.Key{Time: moment}, beyond: 9},
		`{"$or":[{"updatedAt":{"$gt":"%s"}},{"updatedAt":"%[1]s","id":{"$gt":7}}]}`:                  {column: updatedAt, after: feed.Key{Time: moment, ID: 7}},
		`{"$or":[{"updatedAt":{"$gt":"%s"}},{"updatedAt":"%[1]s","id":{"$gt":7}},{"id":{"$gt":9}}]}`: {column: updatedAt, after: feed.Key{Time: moment, ID: 7}, beyond: 9},
		`{"$or":[{"createdAt":{"$lt":"%s"}},{"createdAt":"%[1]s","id":{"$lt":7}}]}`:                  {column: createdAt, newest: true, after: feed.Key{Time: moment, ID: 7}},
	} {
		assert.Equal(t, fmt.Sprintf(want, at), string(keyset(w)))
	}
}
