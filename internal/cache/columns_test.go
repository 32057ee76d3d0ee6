package cache

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestNamesAndPicturesOfContactsAreStoredAndNothingElse(t *testing.T) {
	virtual(t, func(t *testing.T) {
		keeps := func(column string) bool { return Stores(column, "Email", []string{"Town", "", "flUserToken"}) }
		for _, name := range []string{"flUserId", "Email", "Town", "Full name", "fullName", "First Name", "last_name", "Avatar", "flDefaultChatUser", "isPinned"} {
			assert.True(t, keeps(name), name)
		}
		for _, name := range []string{"flUserToken", "email", "Phone", "Salary", "Password", "Mother's maiden name", "names", "Notes", "flPushSubscriptionId"} {
			assert.False(t, keeps(name), name)
		}
	})
}

func TestTheCallersContactsKeepAllTheirColumns(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := storage.NewMemory()
		c := open(s)
		c.cfg.Owner = owner{stores: func(column string) bool { return Stores(column, "", nil) }}
		contacts := []datasource.Entry{{ID: 1, Data: datasource.M{"Full name": "Jane", "Phone": "1"}}, {ID: 2}}
		c.User(jane).SaveContacts(t.Context(), contacts)
		assert.Equal(t, datasource.M{"Full name": "Jane", "Phone": "1"}, contacts[0].Data)
		got, ok, err := c.User(jane).Contacts(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		assert.Equal(t, datasource.M{"Full name": "Jane"}, got[0].Data)
	})
}

// scrubber counts the calls of Scrub.
type scrubber struct {
	storage.Store
	err   error
	calls int
}

func (s *scrubber) Scrub(context.Context) error { s.calls++; return s.err }

func TestForgettingAUserScrubsTheStoreAndContactsOfNobody(t *testing.T) {
	virtual(t, func(t *testing.T) {
		for err, want := range map[error]error{nil: nil, errors.ErrUnsupported: nil, errStore: errStore} {
			s := &scrubber{Store: storage.NewMemory(), err: err}
			c := open(s)
			c.User("").SaveContacts(t.Context(), []datasource.Entry{{ID: 1}})
			c.User(jane).Remember(t.Context(), contact(1, jane), "token", "")
			got := c.User(jane).Forget(t.Context())
			if want == nil {
				require.NoError(t, got)
			} else {
				require.ErrorIs(t, got, want)
			}
			assert.Equal(t, 1, s.calls)
			_, ok, err := c.User("").Contacts(t.Context())
			require.NoError(t, err)
			assert.False(t, ok)
		}
	})
}

var errStore = errors.New("the disk is full")
