package natsstore_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

func TestBucketIsAStore(t *testing.T) {
	t.Parallel()
	var buckets sync.Map
	storagetest.Run(t, func(t *testing.T) storage.Store {
		bucket := fresh()
		s := open(t, connect(t, shared.ClientURL()), bucket)
		buckets.Store(s, bucket)
		return s
	}, storagetest.Reopen(func(t *testing.T, s storage.Store) storage.Store {
		bucket, _ := buckets.Load(s)
		again := open(t, connect(t, shared.ClientURL()), bucket.(string))
		buckets.Store(again, bucket)
		return again
	}))
}

func TestEveryKeyHasAnEncodingThatComesBack(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"a", "/", "//", "a/", "/a", "a//b", "a.b", ">", "*", "a b", "=", "=41", "_list", "_kv", "\x00", "naïve", "🙂", strings.Repeat("/", 1024), strings.Repeat("ÿ", 512)} {
		name := natsstore.Encode(key)
		assert.Regexp(t, `^[a-zA-Z0-9=-]+(\.[a-zA-Z0-9=-]+)*$`, name)
		assert.LessOrEqual(t, len(name), 3072)
		back, ok := natsstore.Decode(name)
		assert.True(t, ok, "%.60q", key)
		assert.Equal(t, key, back)
	}
	for _, name := range []string{"", "a_b", "a=", "a=4", "=4", "=zz", "=2e", "=41", "a..b", "a.==", ">"} {
		_, ok := natsstore.Decode(name)
		assert.False(t, ok, "%q is no name that Encode makes", name)
	}
}
