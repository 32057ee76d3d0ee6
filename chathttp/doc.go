// Package chathttp serves a [chat.Chat] to one's own web front end: an [http.Handler] with
// the calls of the JavaScript API as JSON, streams as server-sent events that go on where
// they were cut, files, uploads, and a script without dependencies, chat.js, that offers the
// methods of Fliplet.Chat on top of it.
//
//	h, err := chathttp.New(func(r *http.Request) (*chat.Chat, error) {
//		return chats.Of(session(r)) // who is asking: from a cookie, for example
//	}, chathttp.Options{})
//	…
//	http.Handle("/chat/", http.StripPrefix("/chat", h))
//
// No token, no key and no invite code is in what it answers, and no key in any URL.
//
// # Paths
//
// They are relative to where the handler is mounted.
//
//	POST call/{method}                     a call; the body is the list of its arguments
//	GET  stream                            server-sent events
//	POST stream/ack                        {"id": …}: everything up to this event has arrived
//	POST stream/close                      {"id": …}: the page will not come back for this stream
//	POST upload/{conversation}             multipart/form-data: a message with files
//	GET  file/{conversation}/{message}/{n} a file of a message: its number, from 0, and what
//	                                       tells it from others, as data.file has it
//	GET  chat.js                           the script
//
// # Calls
//
// The body of a call is a JSON list of the arguments that the method has in the JavaScript
// API, and the answer is the JSON of what its promise resolves with; null for nothing.
// Methods of a conversation take its id as their first argument.
//
//	login(query)                           the user of the Chat, if the query is theirs
//	user(), logout()
//	contacts({where, limit, offset, order, offline, …})
//	conversations({offline}), conversations.get(id), conversations.join(code)
//	create({participants, name, group, metadata, allowInvite})
//	message(id, {body, file, guid, …})     updateMessage(id, messageId, data), deleteMessage(id, messageId)
//	messages({where, limit, offset, order, conversations})
//	markMessagesAsRead([message, …])
//	unread.get(), unread.count()
//	poll({reset}), getBatchSize()
//	channels.get(), channels.create(name), channels.join(id), channels.delete(id)
//	participants.get(id), participants.fetch(id), participants.add(id, contactIds), participants.remove(id, contactIds)
//	notifications.mute(id), notifications.unmute(id)
//	messages.fetch(id, {where, limit, offset, order, …}), messages.get(id, messageId)
//	getInviteCode(id), getEncryptionKey(id)
//
// A failure has a status that is not 2xx and the body {"code": …, "status": …, "message": …}:
// code as the JavaScript API rejects, status that of HTTP. 401 asks for a new login, 429
// and 503 have Retry-After.
//
// In messages, data.file holds references such as "file/12/34/0-5f1a…" in place of addresses;
// chat.js makes them absolute. They are taken back where files are given, beside data URLs;
// addresses are refused with 403, since the server would fetch them with its own rights.
//
// An upload has the part "message", the object of message() as text or as a Blob, once at the
// most, and each file in a part with a file name. A text in "file" is refused with 400.
//
// # Streams
//
// Each stream of a page is a stream of the Chat ([chat.Chat.Stream]) with a short log. The
// id of an event is an opaque text that names both; a page that connects again gives the
// last one it has, in Last-Event-ID or as the parameter "after", and gets what comes next:
// nothing lost and nothing twice, since the stream waits for the page while its log is full,
// and then reads on from where it was. The kinds of events are
//
//	open      the stream has begun, at its newest messages: {}
//	message   a message, as JSON (the default kind, without a name)
//	gap       what could not be delivered: {kind, conversationId, messageId, before, reason}
//	trouble   a poll failed, and is made again: {code, status, message}; no id
//	reset     the id that was given is not that of a stream that waits: {reason}. The page
//	          forgets what it shows; a new stream begins, with "open"
//	end       the stream is over, since the login is: {code, status, message}
//
// reason is "unknown" for a stream that was given up, of another user, or of a server that
// has started again; "old" for an id before what is kept; "invalid" for anything else. The
// parameters are from (newest, the default, now, beginning), offline=1, marks=0 to leave out
// read marks, and ack=1: the page sends stream/ack, and nothing is forgotten before.
package chathttp
