package archtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// The declarations that programs outside this module compile against, with their
// exact types. Whoever has to change this file to make it compile breaks them.

// is accepts a pointer to exactly T, where an assignment would convert.
func is[T any](*T) {}

// Package chat: functions and methods.
var (
	_ func(context.Context, chat.Options) (*chat.Chat, error)                             = chat.Connect
	_ func(context.Context) (*chat.Chat, error)                                           = chat.Get
	_ func(context.Context, chat.Environment, ...func(*chat.Options)) (*chat.Chat, error) = chat.Init
	_ func(context.Context, chat.Environment) (*chat.Chat, error)                         = chat.Subscribe
	_ func([]byte) (chat.Draft, error)                                                    = chat.DraftFromJS

	_ func(*chat.Chat, context.Context, chat.M, ...chat.LoginOption) (*chat.Contact, error)                              = (*chat.Chat).Login
	_ func(*chat.Chat, context.Context) error                                                                            = (*chat.Chat).Logout
	_ func(*chat.Chat) error                                                                                             = (*chat.Chat).Close
	_ func(*chat.Chat, context.Context) error                                                                            = (*chat.Chat).Shutdown
	_ func(*chat.Chat) *chat.Contact                                                                                     = (*chat.Chat).User
	_ func(*chat.Chat, context.Context, ...chat.ContactsOption) ([]*chat.Contact, error)                                 = (*chat.Chat).Contacts
	_ func(*chat.Chat, context.Context, ...chat.ConversationsOption) ([]*chat.Conversation, error)                       = (*chat.Chat).Conversations
	_ func(*chat.Chat, context.Context, string) (*chat.Conversation, error)                                              = (*chat.Chat).JoinConversation
	_ func(*chat.Chat, context.Context, chat.NewConversation) (*chat.Conversation, error)                                = (*chat.Chat).Create
	_ func(*chat.Chat, context.Context, int64, chat.Draft) (*chat.Message, error)                                        = (*chat.Chat).Message
	_ func(*chat.Chat, context.Context, int64, int64, chat.M) (*chat.Message, error)                                     = (*chat.Chat).UpdateMessage
	_ func(*chat.Chat, context.Context, int64, int64) error                                                              = (*chat.Chat).DeleteMessage
	_ func(*chat.Chat, context.Context, ...chat.MessagesOption) ([]*chat.Message, error)                                 = (*chat.Chat).Messages
	_ func(*chat.Chat, context.Context, ...*chat.Message) error                                                          = (*chat.Chat).MarkMessagesAsRead
	_ func(*chat.Chat) chat.Unread                                                                                       = (*chat.Chat).Unread
	_ func(*chat.Chat, context.Context, func(*chat.Message), ...chat.StreamOption) (*chat.Subscription, error)           = (*chat.Chat).Stream
	_ func(*chat.Chat, context.Context, ...chat.PollOption) error                                                        = (*chat.Chat).Poll
	_ func(*chat.Chat, context.Context, ...chat.StreamOption) iter.Seq2[*chat.Message, error]                            = (*chat.Chat).Events
	_ func(*chat.Chat, context.Context, string, func(context.Context, *chat.Message) error, ...chat.ConsumeOption) error = (*chat.Chat).Consume
	_ func(*chat.Chat) chat.Health                                                                                       = (*chat.Chat).Health
	_ func(*chat.Chat) http.Handler                                                                                      = (*chat.Chat).DebugHandler
	_ func(*chat.Chat) int                                                                                               = (*chat.Chat).BatchSize
	_ func(*chat.Chat) chat.Channels                                                                                     = (*chat.Chat).Channels

	_ func(chat.Channels, context.Context, string) (*chat.Channel, error)     = chat.Channels.Create
	_ func(chat.Channels, context.Context, int64) error                       = chat.Channels.Delete
	_ func(chat.Channels, context.Context, int64) (*chat.Conversation, error) = chat.Channels.Join
	_ func(chat.Channels, context.Context) ([]*chat.Channel, error)           = chat.Channels.List

	_ func(*chat.Conversation) string                           = (*chat.Conversation).EncryptionKey
	_ func(*chat.Conversation, context.Context) (string, error) = (*chat.Conversation).InviteCode
	_ func(*chat.Conversation) bool                             = (*chat.Conversation).IsMuted
	_ func(*chat.Conversation) chat.ConversationMessages        = (*chat.Conversation).Messages
	_ func(*chat.Conversation) chat.Notifications               = (*chat.Conversation).Notifications
	_ func(*chat.Conversation) chat.Participants                = (*chat.Conversation).Participants

	_ func(chat.ConversationMessages, context.Context, ...chat.FetchOption) ([]*chat.Message, error) = chat.ConversationMessages.Fetch
	_ func(chat.ConversationMessages, context.Context, int64) (*chat.Message, error)                 = chat.ConversationMessages.Get

	_ func(chat.Notifications, context.Context) error = chat.Notifications.Mute
	_ func(chat.Notifications, context.Context) error = chat.Notifications.Unmute

	_ func(chat.Participants, context.Context, ...int64) error          = chat.Participants.Add
	_ func(chat.Participants, context.Context) ([]*chat.Contact, error) = chat.Participants.Fetch
	_ func(chat.Participants) []string                                  = chat.Participants.IDs
	_ func(chat.Participants, context.Context, ...int64) error          = chat.Participants.Remove

	_ func(*chat.Subscription) <-chan struct{} = (*chat.Subscription).Done
	_ func(*chat.Subscription) error           = (*chat.Subscription).Err
	_ func(*chat.Subscription)                 = (*chat.Subscription).Stop

	_ func(chat.Unread, context.Context) (int, error)             = chat.Unread.Count
	_ func(chat.Unread, context.Context) ([]*chat.Message, error) = chat.Unread.Get
)

// Package chat: options, and the calls they are accepted by.
var (
	_ func(int) chat.FindOption                          = chat.Limit
	_ func(int) chat.FindOption                          = chat.Offset
	_ func(string, datasource.Direction) chat.FindOption = chat.OrderBy
	_ func(chat.M) chat.WhereOption                      = chat.Where // not a FindOption: see TestTheWrongLanguageDoesNotCompile
	_ func(chat.M) chat.MessagesOption                   = chat.WhereRow
	_ func(...int64) chat.MessagesOption                 = chat.In
	_ func() chat.OfflineOption                          = chat.Offline
	_ func() chat.PollOption                             = chat.Reset

	_                                                                                = []chat.LoginOption{chat.Offline()}
	_                                                                                = []chat.ConversationsOption{chat.Offline()}
	_                                                                                = []chat.ContactsOption{chat.Offline(), chat.Where(nil)}
	_                                                                                = []chat.MessagesOption{chat.In(), chat.WhereRow(nil), chat.Limit(1)}
	_                                                                                = []chat.FetchOption{chat.Where(nil), chat.Limit(1)}
	_                                                                                = []chat.StreamOption{chat.Offline(), chat.StartAt(chat.FromNow), chat.OnGap(nil), chat.OnError(nil)}
	_                                                                                = []chat.ConsumeOption{chat.StartAt(chat.FromNow), chat.OnGap(nil), chat.OnError(nil)}
	_ func(int) chat.ConsumeOption                                                   = chat.MaxAttempts
	_ func(func(context.Context, *chat.Message, error) error) chat.ConsumeOption     = chat.DeadLetter
	_                                                                                = []chat.From{chat.FromNewest, chat.FromNow, chat.FromBeginning}
	_ func(*chat.Chat, context.Context, int64) (*chat.Conversation, error)           = (*chat.Chat).Conversation
	_ func(*chat.Chat, context.Context, string) (*chat.Contact, error)               = (*chat.Chat).ContactByUserID
	_ func(chat.ConversationMessages, context.Context, int64) (*chat.Message, error) = chat.ConversationMessages.Get
	_ chat.GapKind                                                                   = chat.Gap{}.Kind
	_                                                                                = []chat.PollOption{chat.Reset()}
)

// Package chat: interfaces that users implement. A further method would break them.
type (
	anyKeys          struct{}
	anyPushRegistrar struct{}
	anyEnvironment   struct{}
)

func (anyEnvironment) ChatSettings(context.Context) (chat.Options, error) { return chat.Options{}, nil }
func (anyEnvironment) CurrentUser(context.Context) (chat.M, error)        { return nil, nil }
func (anyEnvironment) PushEnabled(context.Context) (bool, error)          { return false, nil }

func (anyKeys) Key(context.Context, int64) (string, error) { return "", nil }
func (anyPushRegistrar) Subscribe(context.Context, *chat.Contact) (string, error) {
	return "", nil
}

var (
	_ chat.Keys          = anyKeys{}
	_ chat.Environment   = anyEnvironment{}
	_ chat.PushRegistrar = anyPushRegistrar{}
)

// Package chat: fields.
func _(o *chat.Options, ct *chat.Contact, n *chat.NewConversation, d *chat.Draft, f *chat.File) {
	is[*datasource.Client](&o.Client)
	is[int64](&o.DataSourceID)
	is[string](&o.PrimaryKey)
	is[bool](&o.EncryptMessages)
	is[bool](&o.PushNotifications)
	is[bool](&o.CrossLogin)
	is[int64](&o.CrossLoginDataSourceID)
	is[string](&o.CrossLoginEmailKey)
	is[string](&o.CrossLoginContactsKey)
	is[int64](&o.AppID)
	is[int64](&o.MasterAppID)
	is[storage.Store](&o.Storage)
	is[chat.Keys](&o.Keys)
	is[chat.PushRegistrar](&o.Push)
	is[time.Duration](&o.LivePollInterval)
	is[time.Duration](&o.PollInterval)
	is[time.Duration](&o.MaxPollInterval)
	is[*slog.Logger](&o.Logger)
	is[[]chat.Hook](&o.Hooks)

	is[int64](&ct.ID)
	is[string](&ct.UserID)
	is[map[string]any](&ct.Data)

	is[[]int64](&n.Participants)
	is[string](&n.Name)
	is[chat.M](&n.Group)
	is[chat.M](&n.Metadata)
	is[bool](&n.AllowInvite)

	is[string](&d.Body)
	is[[]chat.File](&d.Files)
	is[string](&d.GUID)
	is[chat.M](&d.Data)

	is[string](&f.URL)
	is[string](&f.Name)
	is[string](&f.ContentType)
	is[[]byte](&f.Content)
}

func _(m *chat.Message, v *chat.Conversation, def *chat.Definition, ch *chat.Channel, e *chat.Error) {
	is[int64](&m.ID)
	is[int64](&m.ConversationID)
	is[string](&m.GUID)
	is[string](&m.Body)
	is[string](&m.FromUserID)
	is[[]string](&m.ReadBy)
	is[[]string](&m.Files)
	is[chat.M](&m.Data)
	is[time.Time](&m.CreatedAt)
	is[time.Time](&m.UpdatedAt)
	is[*time.Time](&m.DeletedAt)
	is[bool](&m.IsReadByCurrentUser)
	is[bool](&m.IsUpdate)
	is[bool](&m.IsDeleted)
	is[bool](&m.IsReplay)
	is[bool](&m.IsHistory)
	is[error](&m.Err)

	is[int64](&v.ID)
	is[string](&v.Name)
	is[chat.Definition](&v.Definition)
	is[time.Time](&v.CreatedAt)
	is[time.Time](&v.UpdatedAt)
	is[bool](&v.IsNew)
	is[bool](&v.IsChannel)
	is[int](&v.NParticipants)

	is[[]string](&def.Participants)
	is[[]string](&def.RemovedParticipants)
	is[chat.M](&def.Group)
	is[chat.M](&def.Metadata)

	is[int64](&ch.ID)
	is[string](&ch.Name)
	is[int](&ch.NParticipants)
	is[chat.Definition](&ch.Definition)

	is[string](&e.Op)
	is[int](&e.Code)
	is[error](&e.Err)
}

// Package datasource.
var (
	_ func(datasource.Config) (*datasource.Client, error)                                              = datasource.NewClient
	_ func(*datasource.Client, context.Context) error                                                  = (*datasource.Client).Ping
	_ func(error) bool                                                                                 = datasource.Temporary
	_ func(*datasource.Client, context.Context, int64, int64) error                                    = (*datasource.Client).Delete
	_ func(*datasource.Client, context.Context, int64, datasource.Query) ([]datasource.Entry, error)   = (*datasource.Client).Find
	_ func(*datasource.Client, context.Context, int64, int64) (*datasource.Entry, error)               = (*datasource.Client).FindByID
	_ func(*datasource.Client, context.Context, int64, datasource.M) (*datasource.Entry, error)        = (*datasource.Client).Insert
	_ func(*datasource.Client, context.Context, int64, int64, datasource.M) (*datasource.Entry, error) = (*datasource.Client).Update
	_ map[string]any                                                                                   = datasource.M{}
)

func _(c *datasource.Config, e *datasource.Entry, ds *datasource.DataSource) {
	is[string](&c.Token)
	is[string](&c.BaseURL)
	is[string](&c.UserAgent)
	is[*http.Client](&c.HTTPClient)
	is[*slog.Logger](&c.Logger)
	is[datasource.Limiter](&c.Limiter)
	c.Limiter = datasource.NewLimiter(200, 10*time.Second)
	c.Limiter = datasource.Unlimited()
	is[datasource.RetryPolicy](&c.Retry)
	is[int](&c.Retry.MaxAttempts)

	is[int64](&e.ID)
	is[int64](&e.DataSourceID)
	is[datasource.M](&e.Data)
	is[*int64](&e.Order)
	is[time.Time](&e.CreatedAt)
	is[time.Time](&e.UpdatedAt)
	is[*time.Time](&e.DeletedAt)

	is[int64](&ds.ID)
	is[string](&ds.Name)
	is[string](&ds.Type)
	is[int64](&ds.AppID)
	is[int64](&ds.OrganizationID)
	is[[]string](&ds.Columns)
	is[json.RawMessage](&ds.Definition)
	is[json.RawMessage](&ds.Hooks)
	is[json.RawMessage](&ds.AccessRules)
	is[time.Time](&ds.CreatedAt)
	is[time.Time](&ds.UpdatedAt)
}

func _(e *datasource.Error, q *datasource.Query, o *datasource.Order) {
	is[int](&e.StatusCode)
	is[string](&e.Type)
	is[string](&e.Code)
	is[string](&e.Message)
	is[json.RawMessage](&e.Payload)
	is[time.Time](&e.RetryAt)

	is[string](&q.Type)
	is[datasource.M](&q.Where)
	is[[]string](&q.Attributes)
	is[[]datasource.Order](&q.Order)
	is[int](&q.Limit)
	is[int](&q.Offset)

	is[string](&o.Column)
	is[datasource.Direction](&o.Direction)
}

// Packages storage and fliplettest.
type anyStore struct{}

func (anyStore) Get(context.Context, string) ([]byte, error) { return nil, nil }
func (anyStore) Set(context.Context, string, []byte) error   { return nil }
func (anyStore) Delete(context.Context, string) error        { return nil }
func (anyStore) CompareAndSwap(context.Context, string, []byte, []byte) (bool, error) {
	return false, nil
}

var (
	_ storage.Store        = anyStore{}
	_ func() storage.Store = storage.NewMemory

	_ func(testing.TB, ...fliplettest.Option) *fliplettest.Server                  = fliplettest.New
	_ func(...fliplettest.Option) (*fliplettest.Server, error)                     = fliplettest.Start
	_ func(*fliplettest.Server, ...datasource.M) (dataSourceID int64, ids []int64) = (*fliplettest.Server).AddContacts
	_ func(*fliplettest.Server) *datasource.Client                                 = (*fliplettest.Server).Client
	_ func(*fliplettest.Server) error                                              = (*fliplettest.Server).Close
)

func _(s *fliplettest.Server) {
	is[string](&s.URL)
	is[string](&s.Token)
	is[int64](&s.AppID)
	is[int64](&s.OrganizationID)
}

func TestSentinelsAreDistinct(t *testing.T) {
	t.Parallel()
	sentinels := []error{
		chat.ErrContactNotFound, chat.ErrOffline, chat.ErrNotLoggedIn, chat.ErrClosed,
		chat.ErrNoInviteCode, chat.ErrNotFound, storage.ErrNotFound,
	}
	for i, a := range sentinels {
		for j, b := range sentinels {
			assert.Equal(t, i == j, errors.Is(a, b), "%v is %v", a, b)
		}
	}
	var _ error = (*chat.Error)(nil)
	var _ error = (*datasource.Error)(nil)
	assert.Equal(t, datasource.Direction("ASC"), datasource.Asc)
	assert.Equal(t, datasource.Direction("DESC"), datasource.Desc)
}
