package flipletd_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// TestAReplicaShowsThePastExactly makes random writes at random times and
// compares what lagging readers see with a record of the past.
func TestAReplicaShowsThePastExactly(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			k := talk(t)
			k.Thaw()
			lag := new(time.Duration)
			k.Pull(flipletd.Rule{Route: flipletd.AnyRead, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Lag = max(*lag, 1) }}})
			const query = `{"includeDeleted":true,"flUserToken":"ta","limit":0,"order":[["id","ASC"]]}`
			type moment struct {
				at   time.Time
				body string
			}
			var past []moment
			record := func() {
				*lag = 0
				time.Sleep(2 * time.Nanosecond) // the smallest lag is 1 ns
				past = append(past, moment{time.Now().Add(-2 * time.Nanosecond), k.across(query).body})
			}
			record()
			var ids []int64
			for range 60 {
				time.Sleep(time.Duration(r.IntN(3)) * 100 * time.Millisecond)
				switch n := r.IntN(8); {
				case n < 3 || len(ids) == 0:
					ids = append(ids, k.put(102+int64(r.IntN(2)), m{"n": r.IntN(100)})...)
				case n < 6:
					id := ids[r.IntN(len(ids))]
					for _, source := range []int64{102, 103} {
						_ = k.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data/%d", source, id), fmt.Sprintf(`{"n":%d}`, r.IntN(100)))
					}
				case n < 7:
					id := ids[r.IntN(len(ids))]
					for _, source := range []int64{102, 103} {
						_ = k.do("DELETE", fmt.Sprintf("/v1/data-sources/%d/data/%d", source, id), "")
					}
				default:
					participants, _ := json.Marshal([][]string{{"a", "b"}, {"b"}}[r.IntN(2)])
					k.do("PUT", "/v1/data-sources/103", `{"definition":{"participants":`+string(participants)+`}}`).ok(200)
				}
				record()
				require.NoError(t, k.Check())
				then := past[r.IntN(len(past))]
				*lag = time.Since(then.at)
				require.Equal(t, then.body, k.across(query).body, "%v ago", *lag)
			}
		})
	}
}
