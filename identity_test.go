package chat_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestWithoutPrimaryKeyAnIdentityIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	legacy := func(o *chat.Options) { o.PrimaryKey = "" }
	first := w.login("jane", legacy).User()
	require.NoError(t, uuid.Validate(first.UserID))
	stored := w.columns(w.contacts, first.ID)
	assert.Equal(t, first.UserID, stored["flUserId"])
	assert.Len(t, stored["flUserToken"], 64)
	second := w.login("jane", legacy).User()
	assert.Equal(t, first.UserID, second.UserID)
	assert.Equal(t, first.Data["flUserToken"], second.Data["flUserToken"])
	assert.NotEqual(t, first.UserID, w.login("bob", legacy).User().UserID)
}

func TestFirstLoginsAtOnceAgreeOnAnIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		const devices = 8
		var wg sync.WaitGroup
		ids, chats := make([]string, devices), make([]*chat.Chat, devices)
		for i := range devices {
			c := w.connect(func(o *chat.Options) { o.PrimaryKey = "" })
			chats[i] = c
			// All have found a contact without an identity before the first one stores it.
			w.After(i, 1, fliplettest.Update, fliplettest.Delay(time.Duration(i+1)*time.Millisecond))
			wg.Go(func() {
				contact, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
				if assert.NoError(t, err) {
					ids[i] = contact.UserID
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			assert.Equal(t, w.columns(w.contacts, w.ids["jane"])["flUserId"], id)
		}
		for _, c := range chats { // whose token was overwritten notices and reads the last one
			_, err := c.Messages(t.Context())
			assert.NoError(t, err)
		}
	})
}

func TestWithPrimaryKeyTheIdentityIsDerived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contacts, ids := w.AddContacts(datasource.M{"Email": " Jo@X.com "}, datasource.M{"Email": "al@x.com"}, datasource.M{"Email": nil})
	in := func(o *chat.Options) { o.DataSourceID = contacts }
	jo := w.connect(in)
	_, err := jo.Login(t.Context(), chat.M{"Email": chat.M{"$iLike": "jo@x.com"}})
	require.NoError(t, err)
	first := jo.User().UserID
	assert.Len(t, first, 32)
	assert.Equal(t, first, w.columns(contacts, ids[0])["flUserId"])

	// The row is imported again: without its flUserId, and spelt differently.
	again := w.AddRows(contacts, datasource.M{"Email": "jo@x.COM"})
	w.remove(contacts, ids[0])
	back := w.connect(in)
	_, err = back.Login(t.Context(), chat.M{"Email": "jo@x.COM"})
	require.NoError(t, err)
	assert.Equal(t, again[0], back.User().ID)
	assert.Equal(t, first, back.User().UserID)

	al := w.connect(in)
	_, err = al.Login(t.Context(), chat.M{"Email": "al@x.com"})
	require.NoError(t, err)
	assert.NotEqual(t, first, al.User().UserID)
}

func TestAnIdentityThatIsThereIsNeverReplaced(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]any{"text": "chosen-by-somebody", "a number": json.Number("7"), "a large number": json.Number("9007199254740993")} {
		for flow, key := range map[string]string{"legacy": "", "derived": "Email"} {
			t.Run(name+", "+flow, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				contacts, ids := w.AddContacts(datasource.M{"Email": "jo@x.com", "flUserId": id})
				c := w.connect(func(o *chat.Options) { o.DataSourceID, o.PrimaryKey = contacts, key })
				contact, err := c.Login(t.Context(), chat.M{"Email": "jo@x.com"})
				require.NoError(t, err)
				assert.Equal(t, fmt.Sprint(id), contact.UserID)
				assert.Equal(t, id, w.columns(contacts, ids[0])["flUserId"], "the row keeps what it had")
			})
		}
	}
}
