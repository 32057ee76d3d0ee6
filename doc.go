// Package chat is Fliplet.Chat for Go: backends, bots and bridges written in Go take
// part in the chats of a Fliplet app. It uses the data sources in which Fliplet keeps
// chats and the formats of the public Chat widget, and mirrors the JavaScript API
// call by call.
//
//	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("FLIPLET_TOKEN")})
//	…
//	c, err := chat.Connect(ctx, chat.Options{Client: client, DataSourceID: 123, PrimaryKey: "Email"})
//	…
//	defer c.Close()
//	_, err = c.Login(ctx, chat.M{"Email": "jane@example.org"})
//	…
//	conv, err := c.Create(ctx, chat.NewConversation{Participants: []int64{42}})
//	…
//	_, err = c.Stream(ctx, func(m *chat.Message) { fmt.Println(m.FromUserID, m.Body) })
//	…
//	_, err = c.Message(ctx, conv.ID, chat.Draft{Body: "Hello team!"})
//
// # Terms
//
// A contact is a row of one data source, the contacts. A conversation is a data
// source of type "conversation" whose definition lists the members. A message is a
// row in it.
//
// Choose people by contact row id ([NewConversation], [Participants.Add]). Senders,
// readers and members are flUserIds ([Message.FromUserID], [Message.ReadBy],
// [Definition.Participants]). With [Options.PrimaryKey] a flUserId survives a new import
// of the contacts.
//
// A [Chat] is one user. A server with many users connects one Chat for each and
// lets them share a [datasource.Client]. A Chat costs a few kilobytes.
// One that streams has a goroutine only while it polls or a function of the caller's runs,
// and no connection of its own.
// Everything is safe for concurrent use unless it says otherwise.
//
// [Chat.Shutdown] ends a Chat and waits for what runs, within its context.
// [Chat.Close] ends it at once and waits for nothing.
//
// # From JavaScript
//
// Promises become results, options become structs or options of a call, and getters
// lose their "get". Every call that makes requests takes a context.
//
//	Fliplet.Chat.connect(opts)          Connect
//	Fliplet.Chat.init(overrides)        Init, with an Environment
//	Fliplet.Chat.get()                  Get, or a Registry for each scope
//	Fliplet.Chat.subscribe()            Subscribe
//	chat.login(query, {offline})        Chat.Login, Offline
//	chat.logout()                       Chat.Logout
//	chat.contacts(opts)                 Chat.Contacts
//	chat.conversations(opts)            Chat.Conversations
//	chat.conversations.join(code)       Chat.JoinConversation
//	chat.create(opts)                   Chat.Create
//	chat.message(id, {body, file})      Chat.Message
//	chat.updateMessage(id, id, data)    Chat.UpdateMessage; also Chat.DeleteMessage
//	chat.messages(opts)                 Chat.Messages, with WhereRow; also Chat.History
//	chat.markMessagesAsRead(list)       Chat.MarkMessagesAsRead
//	chat.unread.get(), .count()         Unread.Get, Unread.Count
//	chat.stream(fn, {offline})          Chat.Stream; also Chat.Events, Chat.Consume
//	chat.poll({reset})                  Chat.Poll, Reset
//	chat.getBatchSize()                 Chat.BatchSize
//	chat.channels.create(name)          Channels.Create, and get: Channels.List
//	chat.channels.join(id), .delete(id) Channels.Join, Channels.Delete
//	conversation.participants.…         Participants.IDs, Fetch, Add, Remove
//	conversation.notifications.…        Notifications.Mute, Unmute
//	conversation.messages.fetch(opts)   ConversationMessages.Fetch, with Where; also Get
//	conversation.isMuted                Conversation.IsMuted
//	conversation.getInviteCode()        Conversation.InviteCode
//	conversation.getEncryptionKey()     Conversation.EncryptionKey
//
// The README has a longer table. Marshalled to JSON, a [Message], [Contact],
// [Conversation] or [Channel] has the shape that JavaScript consumers know, without
// secrets, so a backend can hand it to a browser.
//
// # Streams
//
// [Chat.Stream] calls a function with the newest messages and then with every new,
// changed and deleted one. Fliplet has no push channel for chats, so streams poll:
// two seconds after something happened, growing to 20 seconds, and to two minutes
// when a chat has been silent for long. All streams of a Chat share its requests.
//
// New messages of a conversation arrive in (createdAt, id) order. Every version that
// a poll can see arrives once, also when messages share a millisecond, rows become
// visible late, or edits and read marks come while pages are read. A function that
// blocks delays no other, and gets what it missed when it returns. What cannot be
// delivered is a [Gap], told to [OnGap]. What fails is told to [OnError], and
// [Chat.Health] has the state of polls, consumers and the outbox.
//
// [Chat.Events] is the same for a range loop. [Chat.Consume] is for work that must
// not be missed across restarts and crashes. It delivers at least once. Its position
// has a name, is kept in [Options.Storage] and moves only after the function has
// returned nil. A message that fails holds back its own conversation only. A bot that is
// slower than people write can use [Parallel] and [PerConversation].
//
//	err := c.Consume(ctx, "archive", func(ctx context.Context, m *chat.Message) error {
//		return archive.Store(ctx, m.ID, m.UpdatedAt, m.Body)
//	})
//
// Check [Message.IsDeleted] first, then [Message.IsUpdate]. An update of a message
// that you do not have can be ignored. Read marks are updates, too.
//
// # Sending
//
// A send is stored once. The message has a GUID before the first attempt, and when an
// answer is lost it is looked up by the GUID before it is sent again. If the outcome is
// still unknown after that, the call fails with an error for which
// [datasource.Doubtful] is true. Sending the same [Draft] with the same GUID again is
// then safe.
//
// With [Options.Outbox] sends survive outages and crashes: messages are stored before
// the first attempt, sent in order for as long as it takes, and neither lost nor stored
// twice.
//
// A [Draft] takes attachments as URLs, content or readers. [Chat.Download] reads them.
//
// # Encryption
//
// With [Options.EncryptMessages] bodies are stored as AES ciphertext in the format of
// crypto-js, as Fliplet's own clients store them. Each conversation has a key in its
// definition: whoever may read the definition may read the messages, and nothing is
// authenticated. [Options.Keys] takes the keys from elsewhere, such as a [Keystore].
//
// With [Options.Cipher] bodies are sealed with AES-256-GCM and bound to their
// conversation and GUID, so that a changed body is noticed, and keys can be rotated.
// Fliplet's own screens need a small script to read those.
//
// Bodies are decrypted in whichever form they were written. A body that cannot be
// decrypted is delivered as it is stored, with [Message.Err] set, and the stream goes
// on. The server sees ciphertext, so conditions and push notifications cannot look
// into bodies. docs/encryption.md says what each form protects from.
//
// # Offline
//
// [Options.Storage] keeps identities, contacts, conversations and recent messages,
// separately for each account. With a store that outlives the process, [Offline]
// starts from there: [Chat.Login] takes the cached user, [Chat.Contacts] and
// [Chat.Conversations] make no request, and a stream begins with the cached messages.
//
// # Errors
//
// Every method returns an [*Error], whose text begins with "chat: " and the operation.
// Use errors.Is with the Err… values of this package, which each method lists. A
// refusal of the server is a [*datasource.Error] in the same chain:
//
//	switch {
//	case errors.Is(err, chat.ErrContactNotFound): // code 404 in JavaScript
//	case errors.Is(err, chat.ErrOffline):         // the server is down; code 400 of a login
//	case errors.Is(err, chat.ErrUnauthorized):    // the API token was revoked
//	case errors.Is(err, datasource.ErrRateLimited):
//	case datasource.Doubtful(err): // a write that may have been applied
//	}
//
// Unusable arguments, and calls of a nil or zero Chat, give [ErrInvalid]: the text
// names the argument and says what to do, and no request was made. When the server
// ends a session, the Chat logs in once more by itself and repeats the call. No error
// and no log line holds a token, a key, a password or a message body, however it is
// printed, but for what the error of a stream's or consumer's own function says.
//
// # Testing
//
// Package fliplettest is a local Fliplet for tests, with the unfriendly parts of the
// protocol. It needs no account:
//
//	srv := fliplettest.New(t)
//	contacts, ids := srv.AddContacts(chat.M{"Email": "jane@example.org"}, chat.M{"Email": "bob@example.org"})
//	c, err := chat.Connect(ctx, chat.Options{Client: srv.Client(), DataSourceID: contacts})
//
// # What is known
//
// Fliplet documents the Data Sources API and the JavaScript methods, but not the
// requests that the methods make. docs/protocol.md lists each fact that this package
// relies on, how it is known and which file it is in.
package chat
