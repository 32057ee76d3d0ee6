// Package chat is Fliplet.Chat for Go: people talk through a Fliplet app, and
// backends, bots and bridges written in Go take part. It speaks with the data
// sources in which Fliplet keeps chats, in the formats that the public Chat widget
// reads and writes, and mirrors the JavaScript API call by call.
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
// # Words
//
// A contact is a row of one data source, the contacts. A conversation is a data
// source of type "conversation", whose definition lists the members; a message is a
// row in it. People appear as the id of their contact row where one is chosen
// ([NewConversation], [Participants.Add]), and as their flUserId, the identity that
// outlives the row, where something was said ([Message.FromUserID],
// [Message.ReadBy], [Definition.Participants]).
//
// A [Chat] is one user. A server with many users connects one Chat for each and
// lets them share a [datasource.Client]: a Chat that streams nothing costs a few
// kilobytes, one that streams has one goroutine and no connection of its own.
// Everything is safe for concurrent use unless it says otherwise.
//
// # From JavaScript
//
// Promises become results, options become structs or per-call options, and getters
// lose their "get". Calls with a context make requests; the others do not.
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
// [Conversation] or [Channel] has the shape that JavaScript consumers know, so that
// a backend can hand it to a browser as it is. Secrets stay behind.
//
// # Streams
//
// [Chat.Stream] calls a function with the newest messages and then with every new,
// changed and deleted one. Fliplet has no push channel for chats, so streams poll:
// two seconds after something happened, growing to 20 seconds, and to two minutes
// when a chat has been silent for long. All streams of a Chat share its requests.
//
// New messages of a conversation arrive in (createdAt, id) order, and every version
// that a poll can see arrives once. Messages on one millisecond, rows that become
// visible late, edits and read marks while pages are being read are what the engine
// behind it is made for. A function that blocks delays nobody else, and gets what it
// missed when it returns; what cannot be had is told to [OnGap], never skipped in
// silence.
//
// [Chat.Events] is the same for a range loop. [Chat.Consume] is for work that must not
// be missed, across restarts and crashes: it delivers at least once, with a named position
// in [Options.Storage], which moves only after the function has returned nil.
//
//	err := c.Consume(ctx, "archive", func(ctx context.Context, m *chat.Message) error {
//		return archive.Store(ctx, m.ID, m.UpdatedAt, m.Body)
//	})
//
// Check [Message.IsDeleted] first, then [Message.IsUpdate]: an update of a message
// that you do not have is safely ignored. Read marks are updates, too.
//
// # Sending
//
// A send is one message. Its GUID exists before the first attempt; when an answer is
// lost the message is looked up before anybody could be tempted to send it again.
// What remains open after that is an error for which [datasource.Doubtful] is true,
// and sending the same [Draft] with the same GUID once more is then safe.
//
// With [Options.Outbox] sends survive outages and crashes: messages are stored before
// the first attempt, sent in order for as long as it takes, and neither lost nor stored
// twice.
//
// A [Draft] takes attachments as URLs, content or readers, and [Chat.Download] reads
// them.
//
// # Encryption
//
// With [Options.EncryptMessages] bodies are stored as AES ciphertext in the format of
// crypto-js, as Fliplet's own clients store them, under a key per conversation that
// lies in its definition: whoever may read the definition may read the messages, and
// nothing is authenticated. [Options.Keys] takes the keys from elsewhere, such as a
// [Keystore]. With [Options.Cipher] bodies are sealed with AES-256-GCM and bound to
// their place, by keys that can be rotated, so that a changed body is noticed;
// Fliplet's own screens need a small script to read those.
//
// Bodies are opened on the way in whoever wrote them and in whichever form. One that
// cannot be opened is delivered as it is stored, with [Message.Err] set, and stops
// nothing. The server sees ciphertext, so neither a condition nor a push notification can
// look into bodies. docs/encryption.md says what each form protects from.
//
// # Offline
//
// [Options.Storage] keeps identities, contacts, conversations and recent messages,
// for each account apart. With a store that outlives the process, [Offline] starts
// from there: [Chat.Login] takes the cached user, [Chat.Contacts] and
// [Chat.Conversations] make no request, and a stream begins with the cached messages.
//
// # Errors
//
// Every method returns an [*Error] that names the operation. Ask what it means with
// errors.Is and the Err… values of this package, which each method lists; what the
// server said is a [*datasource.Error] in the same chain:
//
//	switch {
//	case errors.Is(err, chat.ErrContactNotFound): // code 404 in JavaScript
//	case errors.Is(err, chat.ErrOffline):         // code 400 in JavaScript
//	case errors.Is(err, datasource.ErrRateLimited):
//	case datasource.Doubtful(err): // a write that may have been applied
//	}
//
// Unusable arguments are [ErrInvalid]; the text names the field and what to do, and
// no request was made. When the server ends a session, the Chat logs in once more by
// itself and repeats the call. No error and no log line holds a token, a key, a
// password or a message body, however it is printed.
//
// # Testing
//
// Package fliplettest is a local Fliplet for tests, with the whole protocol and its
// unfriendly parts; nothing needs an account:
//
//	srv := fliplettest.New(t)
//	contacts, ids := srv.AddContacts(chat.M{"Email": "jane@example.org"}, chat.M{"Email": "bob@example.org"})
//	c, err := chat.Connect(ctx, chat.Options{Client: srv.Client(), DataSourceID: contacts})
//
// # What is known
//
// Fliplet documents the Data Sources API and the JavaScript methods, not what the
// methods do on the wire. Comments say how a rule is known: "documented", "seen" in
// a public client, or "our choice". Every choice of the last kind is in one small
// file, listed in docs/protocol.md.
package chat
