package rows_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// Positions in Storage hold these values. A program that reads an old position would
// deliver everything near it once more if one of them changed.
func TestTheHashOfContentNeverChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		columns string
		want    uint64
	}{
		{`{}`, 0x0},
		{`{"body":""}`, 0x86e98bc9a331aa86},
		{`{"body":"hello"}`, 0xa19bb6751b90821d},
		{`{"body":"hello","guid":"g-1"}`, 0x46a05eb438a0f81a},
		{`{"ab":"c"}`, 0x9b00442f48ee2a9d},
		{`{"a":"bc"}`, 0x34c6a1087164e83d},
		{`{"body":"héllo 👋 日本"}`, 0xca00dced7e6b6cb6},
		{`{"body":"\u0000\ud83d"}`, 0x42858ddf79f25675},
		{`{"n":1}`, 0x3f215bc6516ed28},
		{`{"n":1.0}`, 0x42d7c4fcbd8cccd4},
		{`{"n":1e3}`, 0x989021fe101d2132},
		{`{"n":-0}`, 0xbe780f204fe24d1f},
		{`{"n":12345678901234567890}`, 0xd5c8e1aa5f41a32a},
		{`{"n":"1"}`, 0x3e7e5bc650e4713},
		{`{"on":true}`, 0x851c4b46be8018f},
		{`{"on":false}`, 0x851c1b46be7fc76},
		{`{"on":null}`, 0x851cdb46be810da},
		{`{"on":"true"}`, 0x6f79474acef294bd},
		{`{"list":[]}`, 0xdcfad63134d2da8e},
		{`{"list":["a","b"]}`, 0x37a91b4d10094735},
		{`{"list":["b","a"]}`, 0x86581344b000aa25},
		{`{"list":[["a"],"b"]}`, 0x18c27186cd5d5b3a},
		{`{"list":[null]}`, 0x51147b9cc24951b2},
		{`{"o":{}}`, 0x19cf3d192199de31},
		{`{"o":{"a":1,"b":[true,{"c":null}]}}`, 0xf69551f96985cd9f},
		{`{"o":{"a":{"b":{"c":"d"}}}}`, 0x9c70101aad51f003},
		{`{"body":"U2FsdGVkX1+x","fromUserId":"u-jane","readBy":["u-jane","u-bob"],"guid":"6f1c","conversationId":7,"sentTime":1767225600000,"isEdited":true,"file":null}`, 0x323087e90b11ec5a},
	} {
		var columns map[string]any
		dec := json.NewDecoder(strings.NewReader(c.columns))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&columns))
		assert.Equal(t, c.want, rows.Hash(columns), c.columns)
	}
	// What decoding does not make has a hash, too.
	assert.EqualValues(t, 0, rows.Hash(nil))
	for _, c := range []struct {
		value any
		want  uint64
	}{{1.5, 0x4eb9f519267c25d5}, {-1e300, 0x3c266ca93ec961f1}, {[]string{"a"}, 0x2271f619267c2788}} {
		assert.Equal(t, c.want, rows.Hash(map[string]any{"n": c.value}), "%v", c.value)
	}
}
