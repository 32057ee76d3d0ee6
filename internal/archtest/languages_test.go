package archtest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	chat "github.com/fliplet/fliplet-chat-go"
)

// Where takes a condition over columns, WhereRow one over rows. Which option a call
// accepts is decided by the interfaces that the option implements, so what an
// assertion refuses here the compiler refuses in a program.
func TestTheWrongLanguageDoesNotCompile(t *testing.T) {
	t.Parallel()
	accepts := func(option any) (calls []string) {
		if _, ok := option.(chat.ContactsOption); ok {
			calls = append(calls, "Contacts")
		}
		if _, ok := option.(chat.FetchOption); ok {
			calls = append(calls, "Fetch")
		}
		if _, ok := option.(chat.MessagesOption); ok {
			calls = append(calls, "Messages")
		}
		return calls
	}
	assert.Equal(t, []string{"Contacts", "Fetch"}, accepts(chat.Where(nil)))
	assert.Equal(t, []string{"Messages"}, accepts(chat.WhereRow(nil)))
	for _, option := range []any{chat.Limit(1), chat.Offset(1), chat.OrderBy("id", "")} {
		assert.Equal(t, []string{"Contacts", "Fetch", "Messages"}, accepts(option))
	}
}
