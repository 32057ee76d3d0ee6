package chat_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// parityMutations are defects, one for a row of docs/parity.md: with it, the test that the
// row names has to fail. They follow the code when it changes.
var parityMutations = merged(parityMutationsOfTheRest, parityMutationsOfCalls, parityMutationsMessages)

var parityMutationsOfTheRest = map[string]patch.Edit{
	"2":    {File: "options.go", Old: "if o.DataSourceID <= 0 {", New: "if o.DataSourceID < 0 {"},
	"3":    {File: "options.go", Old: "if o.Client == nil {", New: "if false {"},
	"9":    {File: "internal/wire/conversation.go", Old: "if !push {", New: "if true {"},
	"10":   {File: "init.go", Old: `if !c.opts.CrossLogin || email == "" || s == nil {`, New: `if c.opts.CrossLogin || email == "" || s == nil {`},
	"10a":  {File: "offline.go", Old: "c.shareUser(ctx, s, token)", New: "_ = token"},
	"11":   {File: "init.go", Old: "emailKey := cmp.Or(o.CrossLoginEmailKey, crossLoginEmailKey)", New: "emailKey := crossLoginEmailKey"},
	"11a":  {File: "init.go", Old: "source := cmp.Or(c.opts.CrossLoginDataSourceID, c.opts.DataSourceID)", New: "source := c.opts.DataSourceID"},
	"29":   {File: "chat.go", Old: "const batchSize = 200", New: "const batchSize = 100"},
	"46":   {File: "logout.go", Old: "return errors.Join(c.clearToken(remote, s), outcome(remote, wiped))", New: "return outcome(remote, wiped)"},
	"57":   {File: "internal/rows/matching.go", Old: "return e.Err != nil || !m.where.Contradicts(e.Data)", New: "return true"},
	"57a":  {File: "queryoption.go", Old: "q = *o.query", New: "_ = o.query"},
	"73":   {File: "internal/wire/conversation.go", Old: "if invite {", New: "if false {"},
	"75a":  {File: "conversation.go", Old: " || def.Grouped())", New: ")"},
	"85":   {File: "conversation.go", Old: "v.told.muted || v.current().Muted(v.userID)", New: "v.told.muted"},
	"89":   {File: "channels.go", Old: `M{"public": true}`, New: `M{"public": false}`},
	"90":   {File: "channels.go", Old: "if !h.foreign(&list[i]) {", New: "if h.foreign(&list[i]) {"},
	"91":   {File: "conversation.go", Old: "v.IsChannel = def.Public()", New: "v.IsChannel = false"},
	"92":   {File: "channels.go", Old: "if ds.Type != wire.TypeConversation || !wire.ParseDefinition(ds.Definition).Public() {", New: "if ds.Type != wire.TypeConversation {"},
	"96":   {File: "internal/wire/author.go", Old: "row[ReadBy] = append([]string{userID}, readers...)", New: "row[ReadBy] = readers"},
	"99":   {File: "checkdraft.go", Old: `if d.Body == "" && len(d.Files) == 0 && len(d.Data) == 0 {`, New: "if false {"},
	"111":  {File: "messages.go", Old: "slices.Reverse(found)", New: "_ = found"},
	"112":  {File: "messages.go", Old: "Conversations: o.in, Order", New: "Order"},
	"113":  {File: "messages.go", Old: "rows.Search{Where: o.where, ", New: "rows.Search{"},
	"115":  {File: "markread.go", Old: " && !slices.Contains(m.ReadBy, s.userID) {", New: " {"},
	"126":  {File: "internal/feed/feed.go", Old: "c.Base = cmp.Or(c.Base, 20*time.Second)", New: "c.Base = cmp.Or(c.Base, 10*time.Second)"},
	"P8":   {File: "json.go", Old: "has && ct.withToken", New: "has"},
	"P11a": {File: "message.go", Old: " && wire.Bool(m.Data[wire.PrivateMedia]) {", New: " {"},
	"B9":   {File: "internal/wire/group.go", Old: "(name != readOnly || Bool(v))", New: `(name != "" || Bool(v))`},
	"B41":  {File: "contacts.go", Old: "if contact := byUserID[id]; contact != nil {", New: "if contact := byUserID[id]; true {"},
	"B51":  {File: "message.go", Old: "c.client.Delete(ctx, conversationID, messageID)", New: "c.client.DeleteDataSource(ctx, conversationID)"},
}

func TestEveryParityRowHasADefect(t *testing.T) {
	t.Parallel()
	rows := parityRows(t)
	for number := range rows {
		assert.Contains(t, parityMutations, number, "row %s needs a defect with which its test fails", number)
	}
	for number, edit := range parityMutations {
		assert.NotEmpty(t, rows[number], "there is no row %s", number)
		_, err := patch.Apply(".", []patch.Edit{edit})
		assert.NoError(t, err, "row %s", number)
	}
}

// make parity runs it: it builds the tests once for each row.
func TestParityRowsFailWhenTheyAreBroken(t *testing.T) {
	if os.Getenv("CHAT_PARITY") == "" {
		t.Skip("it takes an hour: make parity")
	}
	places := testPlaces(t)
	for number, test := range parityRows(t) {
		edit, has := parityMutations[number]
		if !has {
			continue
		}
		t.Run(number, func(t *testing.T) {
			overlay, err := patch.Overlay(".", t.TempDir(), []patch.Edit{edit})
			require.NoError(t, err)
			out, err := exec.CommandContext(t.Context(), "go", "test", "-overlay="+overlay, "-timeout=2m", "-run=^"+test+"$", places[test]).CombinedOutput()
			require.Error(t, err, "%s does not notice: %s", test, edit.Old)
			assert.Regexp(t, `--- FAIL|panic:`, string(out), "it has to run")
		})
	}
}
