package chat_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// The first call of a user of an App who has done nothing yet answers like that of a plain Chat,
// whichever it is, also to arguments that are zero.
func TestEveryFirstCallOfAnAppsUserAnswersLikeAPlainChats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 1)
		jane := o.login("jane", func(opts *chat.Options) { opts.EncryptMessages = false })
		app := o.in(t, nil)
		answer := func(c *chat.Chat, i int) (said []string) {
			m := reflect.ValueOf(c).Method(i)
			var args []reflect.Value
			for n := range m.Type().NumIn() {
				switch in := m.Type().In(n); {
				case m.Type().IsVariadic() && n == m.Type().NumIn()-1:
				case in == reflect.TypeFor[context.Context]():
					args = append(args, reflect.ValueOf(t.Context()))
				case in == reflect.TypeFor[http.ResponseWriter]():
					args = append(args, reflect.ValueOf(httptest.NewRecorder()))
				case in == reflect.TypeFor[*http.Request]():
					args = append(args, reflect.ValueOf(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)))
				case in.Kind() == reflect.Interface: // such as fmt.State: fmt calls it
					return nil
				default:
					args = append(args, reflect.Zero(in))
				}
			}
			for _, out := range m.Call(args) {
				switch v := out.Interface().(type) {
				case error:
					said = append(said, v.Error())
				case http.Handler:
					rec := httptest.NewRecorder()
					v.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
					said = append(said, rec.Result().Status)
				}
			}
			return said
		}
		kind := reflect.TypeFor[*chat.Chat]()
		require.Greater(t, kind.NumMethod(), 25)
		for i := range kind.NumMethod() {
			name := kind.Method(i).Name
			if name == "Close" || name == "Shutdown" || name == "Logout" {
				continue // others play them
			}
			c, err := app.User(t.Context(), chat.M{"Email": "jane@example.org"})
			require.NoError(t, err)
			assert.NotPanics(t, func() { assert.Equal(t, answer(jane, i), answer(c, i), name) }, name)
			require.NoError(t, c.Close())
		}
	})
}
