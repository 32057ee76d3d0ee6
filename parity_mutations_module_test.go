package chat_test

import (
	"maps"

	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// merged are the defects of several tables. A row that is in two of them is a mistake.
func merged(tables ...map[string]patch.Edit) map[string]patch.Edit {
	out := map[string]patch.Edit{}
	for _, table := range tables {
		for number := range table {
			if _, twice := out[number]; twice {
				panic("docs/parity.md: row " + number + " has two defects")
			}
		}
		maps.Copy(out, table)
	}
	return out
}

// parityMutationsOfCalls are those of the first sections of docs/parity.md: the module, the
// session, contacts and conversations.
var parityMutationsOfCalls = map[string]patch.Edit{
	"1":   {File: "chat.go", Old: "\treturn &of.Chat, nil\n", New: "\t_, _ = opts.Client.DataSource(ctx, opts.DataSourceID)\n\treturn &of.Chat, nil\n"},
	"4":   {File: "contacts.go", Old: "return wire.DeriveUserID(c.opts.DataSourceID, value)", New: "return wire.LegacyUserID(c.opts.DataSourceID, row.ID)"},
	"5":   {File: "login.go", Old: "patch[wire.UserID] = c.deriveUserID(row)", New: "row.Data[wire.UserID] = c.deriveUserID(row)"},
	"6":   {File: "crypto.go", Old: "case !c.opts.EncryptMessages:", New: "case true:"},
	"7":   {File: "options.go", Old: "o.Storage = storage.NewMemory()\n", New: "o.Storage, o.EncryptMessages = storage.NewMemory(), true\n"},
	"8":   {File: "create.go", Old: "wire.PushHooks(running, c.opts.PushNotifications)", New: "wire.PushHooks(running, true)"},
	"12":  {File: "options.go", Old: `= "fl-chat-source-id"`, New: `= "fl-chat-data-source-id"`},
	"13":  {File: "registry.go", Old: "if c.made() != nil || !replace && r.chat != nil {", New: "if c.made() != nil || r.chat != nil {"},
	"14":  {File: "init.go", Old: "value := user[opts.PrimaryKey]", New: `value := user["Email"]`},
	"15":  {File: "init.go", Old: "opts.EncryptMessages, opts.PushNotifications = true, true", New: "opts.PushNotifications = true"},
	"16":  {File: "init.go", Old: "if change != nil {", New: `if change != nil && opts.PrimaryKey == "" {`},
	"17":  {File: "init.go", Old: "settings(ctx, env)\n\tif err != nil {", New: "settings(ctx, env)\n\tif err != nil && !errors.Is(err, ErrNoChatWidget) {"},
	"18":  {File: "init.go", Old: `if opts.PrimaryKey == "" {`, New: `if opts.PrimaryKey = opts.emailColumn(); opts.PrimaryKey == "" {`},
	"19":  {File: "init.go", Old: `"$iLike": strings.TrimSpace(text)`, New: `"$iLike": text`},
	"20":  {File: "init.go", Old: `case strings.TrimSpace(wire.Text(value)) == "":`, New: `case func() bool { text, _ := value.(string); return strings.TrimSpace(text) == "" }():`},
	"21":  {File: "environment.go", Old: `path = getenv("FLIPLET_CONFIG")`, New: `path = getenv("FLIPLET_FILE")`},
	"22":  {File: "environment.go", Old: "opts.fill(widget)", New: `opts.DataSourceID = wire.Int(widget["dataSourceId"])`},
	"23":  {File: "registry.go", Old: "if c != nil {\n\t\t\treturn c, nil", New: "if true {\n\t\t\treturn c, nil"},
	"24":  {File: "registry.go", Old: "case <-ctx.Done():\n", New: "case <-ctx.Done():\n\t\t\treturn nil, nil\n"},
	"25":  {File: "registry.go", Old: "r.Set(c)\n\treturn c, nil", New: "process.set(c, false)\n\tr.Set(process.chat)\n\treturn c, nil"},
	"26":  {File: "init.go", Old: "if err == nil && opts.Push != nil {", New: "if err == nil && opts.Push != nil && contact == nil {"},
	"27":  {File: "init.go", Old: "if !on {", New: "if !on && opts.Push == nil {"},
	"28":  {File: "init.go", Old: "r.set(c, false)", New: "r.Set(c)"},
	"30":  {File: "internal/where/login.go", Old: `case key == "$and" || key == "$or":`, New: `case key == "$and":`},
	"31":  {File: "internal/where/login.go", Old: `if strings.TrimSpace(name) == "" {`, New: `if strings.TrimSpace(name) == "" || name == wire.UserToken {`},
	"32":  {File: "internal/where/login.go", Old: "ok && len(plain) == 1 {", New: "ok && len(plain) > 1 {"},
	"33":  {File: "login.go", Old: "contact = contact.copy()\n", New: "contact = contact.copy()\n\tdelete(contact.Data, wire.UserToken)\n"},
	"34":  {File: "internal/where/truth.go", Old: "return truthOf(same(have, operand))", New: "return truthOf(equal(have, operand))"},
	"35":  {File: "internal/where/truth.go", Old: "return truthOf(same(have, operand))", New: "return truthOf(strings.Contains(strings.ToLower(wire.Text(have)), strings.ToLower(wire.Text(operand))))"},
	"36":  {File: "errors.go", Old: "case errors.Is(err, ErrContactNotFound), errors.Is(err, ErrNotFound):", New: "case errors.Is(err, ErrNotFound):"},
	"37":  {File: "login.go", Old: `if c.storedUserID(row) == "" {`, New: "if c.storedUserID(row) != c.deriveUserID(row) {"},
	"38":  {File: "internal/wire/identity.go", Old: "uuid.NameSpaceURL, []byte(name), 8)", New: "uuid.NameSpaceURL, []byte(name+uuid.NewString()), 8)"},
	"39":  {File: "login.go", Old: "if offline {", New: "if false {"},
	"40":  {File: "errors.go", Old: `if op == "login" || op`, New: "if op"},
	"41":  {File: "offline.go", Old: "if !query.Satisfied(row.Data) {", New: "if false {"},
	"42":  {File: "session.go", Old: "c.rememberUser(ctx, s, query, contact, token)", New: "_ = c.rememberUser"},
	"43":  {File: "session.go", Old: "return fn(*s.token.Load())", New: "return err"},
	"44":  {File: "session.go", Old: "return fn(*s.token.Load())", New: "for range 9 {\n\t\tif err = fn(*s.token.Load()); err == nil {\n\t\t\tbreak\n\t\t}\n\t}\n\treturn err"},
	"45":  {File: "poller.go", Old: "return h.chat.authorized(ctx, h.session, fn)", New: "return fn(*h.session.token.Load())"},
	"47":  {File: "logout.go", Old: "s.stop(fmt.Errorf(", New: "defer s.stop(fmt.Errorf("},
	"48":  {File: "logout.go", Old: "wiped := c.wipe(s)\n", New: "if err := c.clearToken(local, s); err != nil {\n\t\treturn err\n\t}\n\twiped := c.wipe(s)\n"},
	"48a": {File: "logout.go", Old: "wait.Both(local, ctx)", New: "wait.Both(local, local)"},
	"49":  {File: "internal/cache/user.go", Old: `var names = []string{"user", "contacts"`, New: `var names = []string{"contacts"`},
	"50":  {File: "conversation.go", Old: "return nil, ErrNotLoggedIn", New: "return []*Conversation{}, nil"},
	"51":  {File: "login.go", Old: "before.stop(fmt", New: "_ = (fmt"},
	"52":  {File: "internal/cache/cache.go", Old: `return c.prefix + userID + "/" + name`, New: `return c.prefix + "/" + name`},
	"53":  {File: "session.go", Old: "return c.session.last.user.contact()", New: "return &Contact{ID: c.session.contactID, UserID: c.session.userID}"},
	"54":  {File: "notifications.go", Old: "contact.ID, M{wire.SubscriptionID: id}", New: `contact.ID, M{"subscriptionId": id}`},
	"55":  {File: "notifications.go", Old: "if v := recover(); v != nil {", New: "if v := any(nil); v != nil {"},
	"56":  {File: "contacts.go", Old: "delete(out[i].Data, wire.UserToken)", New: "clear(out[i].Data)"},
	"58":  {File: "contacts.go", Old: "if o.complete() {", New: "if false {"},
	"59":  {File: "contacts.go", Old: "delete(out[i].Data, wire.UserToken)", New: "_ = wire.UserToken"},
	"60":  {File: "internal/rows/list.go", Old: "cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), cmp", New: "cmp.Or(cmp"},
	"61":  {File: "internal/rows/list.go", Old: "case ds.ID <= 0, ds.Type != wire.TypeConversation, ", New: "case ds.ID <= 0, "},
	"62":  {File: "conversation.go", Old: "s.cache.SaveConversations(ctx, sources)", New: "_ = s.cache.SaveConversations"},
	"63":  {File: "create.go", Old: "if err := conv.join(ctx, s, since); err != nil {", New: "if _ = since; err != nil {"},
	"64":  {File: "create.go", Old: `return nil, fmt.Errorf("no conversation has this invite code: %w", ErrNotFound)`, New: "return nil, nil"},
	"65":  {File: "internal/wire/conversation.go", Old: "def.Add(people...)", New: "def.Add(people[min(1, len(people)):]...)"},
	"66":  {File: "internal/wire/conversation.go", Old: "sortedSet(d.List(Participants)), sortedSet(people)", New: "d.List(Participants), people"},
	"67":  {File: "create.go", Old: "conv.IsNew = true", New: "conv.IsNew = false"},
	"68":  {File: "create.go", Old: "other != nil && other.ID < created.ID {", New: "other != nil && other.ID == created.ID {"},
	"69":  {File: "create.go", Old: "len(d.List(wire.Removed)) == 0 && ", New: ""},
	"70":  {File: "create.go", Old: "name = uuid.NewString()", New: `name = "chat-" + uuid.NewString()`},
	"71":  {File: "internal/wire/group.go", Old: "return M{}\n", New: "return nil\n"},
	"72":  {File: "internal/wire/conversation.go", Old: "if metadata != nil {", New: "if metadata == nil {"},
	"74":  {File: "create.go", Old: `return nil, invalid("Participants: only the user; a conversation needs somebody else")`, New: "return c.createConversation(ctx, s, n, []string{s.userID})"},
	"75":  {File: "contacts.go", Old: `return nil, fmt.Errorf("contact %d: %w", id, ErrContactNotFound)`, New: "return nil, ErrContactNotFound"},
	"76":  {File: "conversation.go", Old: "v.NParticipants > 2", New: "v.NParticipants > 3"},
	"77":  {File: "participants.go", Old: "return append([]string{}, p.v.current().List(wire.Participants)...)", New: "return p.v.current().List(wire.Participants)"},
	"78":  {File: "contacts.go", Old: "for _, id := range userIDs {\n\t\tif", New: "for _, e := range found.Entries {\n\t\tid := wire.Text(e.Data[wire.UserID])\n\t\tif"},
	"79":  {File: "internal/roster/change.go", Old: "for range 2 {", New: "for range 0 {"},
}
