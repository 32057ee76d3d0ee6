// Package fliplettest runs a local Fliplet for tests. What httptest is to
// net/http, this is to chats and data sources:
//
//	srv := fliplettest.New(t)
//	contacts, ids := srv.AddContacts(datasource.M{"Email": "jane@example.org"})
//	rows, err := srv.Client().Find(t.Context(), contacts, datasource.Query{})
//
// The server is stateful and complete as far as chats and data sources go:
// tokens of four kinds, apps, sessions, data sources with access rules and
// hooks, entries, files, queries in both of Fliplet's languages, commits whose
// defaults destroy, versions and trash. It answers in the documented shapes and
// is strict where Fliplet is. What Fliplet has not published is assumed, and
// said to be so where it is implemented; most of it is behind a lever.
//
// # Two ways to reach it
//
// By default the server listens on a loopback port; URL, Client and Transport
// lead there. With [InProcess] it has no socket: Transport calls it in the
// goroutine of the caller. Time then runs on the caller's clock, so a test
// inside a testing/synctest bubble can wait for hours in no time. A loopback
// socket would hang such a bubble.
//
// Neither Host nor Origin of a request is looked at: every name and every page that
// knows the token is served. The token is random unless [WithToken] gives one. A server
// that browsers or other machines can reach is cmd/fliplet-local.
//
// # Web hooks
//
// A hook of type web sends its request after the write, in the background: to this
// machine and to what [HookHosts] names, or to the handler of [OnHook], which works in
// a bubble, too. [Server.WaitForHooks] waits for what is due.
//
// # Levers
//
// A real service loses, delays and misspells. Each fault is one line, acts on a
// route or a group of routes ([AnyRoute], [AnyRead], [AnyWrite], [Insert],
// [CrossSource], …) and composes with others:
//
//	srv.Next(2, fliplettest.Query, fliplettest.Status(503))
//	srv.After(1, 1, fliplettest.Insert, fliplettest.LoseAnswer())
//	srv.Always(fliplettest.AnyRead, fliplettest.Lag(2*time.Second), fliplettest.Shuffle())
//	srv.Sometimes(0.1, fliplettest.AnyRoute, fliplettest.Delay(time.Second), fliplettest.Cut())
//
// [Server.Next] acts on the next n requests, [Server.After] lets some through
// first, [Server.Always] lasts until [Lever.Off], [Server.Sometimes] draws at
// random. [WithFaults] lets everything go wrong a little. Whatever is random
// depends on a seed ([WithSeed]) and on how often a route was called, so that a
// failure can be repeated.
//
// Requests that fail:
//
//   - [Status], [Answer], [TooMany], [Header]: an answer instead of service.
//     The cross-source query switched off is Always(CrossSource, Status(404)), the
//     audit log Always(GetLogs, Status(403)), and joins are Always(Query, MaxJoins(0)).
//   - [LoseRequest]: the connection drops before anything is applied.
//   - [LoseAnswer]: it drops after everything was applied. [Cut]: half-way
//     through the answer.
//   - [Delay], [DelayAnswer]: slow before or after the request is applied.
//   - [Twice]: a request arrives two times. [Partial]: a batch is half applied.
//   - [RefuseToken], [RefuseChatToken]: 401 and 403. [SecondFactor]: a login's 428.
//   - [MaxJoins], [WithMaxJoins]: 400 for a query with more joins.
//   - [Server.RateLimit], [WithRateLimit]: the documented limits and their 429.
//     [Server.Limit], [WithLimit]: limits that users, apps or an organisation share.
//
// Web hooks, on [WebHook]: [LoseRequest], [LoseAnswer], [Twice], [Delay], and
//
//   - [OutOfOrder]: behind the next call of the hook.
//   - [ForgeBody], [Server.ForgeHook]: what whoever knows the endpoint can send.
//   - [HookSeesID]: templates know the id of the row.
//
// Time and consistency:
//
//   - [VisibleAfter]: rows carry their timestamp but are seen later.
//   - [Backdate]: the next writes carry an older timestamp.
//   - [Server.FreezeClock], [Server.ThawClock], [Server.ShiftClock]: equal
//     timestamps, clocks that are wrong.
//   - [Lag]: reads from a replica that is behind. [LogLag]: an audit log that is.
//
// Answers that are not what was asked for:
//
//   - [Ignore]: parameters that the server does not know: order, limit, offset,
//     includeDeleted, definition, type, attributes, ….
//   - [MostRows], [MostBytes]: fewer rows than there are and were asked for.
//   - [Everybody]: rows of other people's conversations.
//   - [Reverse], [Shuffle], [DuplicateRow]: rows out of order or twice.
//   - [LogWithoutChats], [LogWithoutRows]: an audit log that does not have everything.
//
// The other documented shape:
//
//   - [EmptyBody], [WrapBulk]: what a bulk import answers. [WrapEntry],
//     [CreatedOnInsert]: single entries.
//   - [CountInEntries], [CountInCount], [CountAsRows]: the cross-source count.
//   - [DeletedCountOnly], [DeletedIDsOnly]: the delete query.
//   - [OmitDeletedAt], [ShowDeletedAt], [KeepTombstoneData]: deletion.
//   - [OmitFields], [NullFields], [NullLists], [UnknownFields],
//     [IDsAsStrings]: anything else that a field can be.
//   - [DenyWith401]: the status of a refused write. [Host]: another base of the API in
//     v1/user. [CDN]: media objects that lead to the CDN.
//
// # Looking inside
//
// [Server.Requests] and [Server.Count] tell what was asked, [Server.Rows] and
// [Server.Sources] what is stored, [Server.Pushes] and [Server.HookCalls] what
// hooks have sent or would have, [Server.RowsDropped] what a careless commit destroyed, and
// [Server.Usage] and [Server.Used] how many requests each token, user, app and organization
// has made.
// When a test fails, [New] logs the state and the last requests: never a token,
// a key or the contents of a message.
//
// # Concurrency
//
// A server and its methods are safe for concurrent use. A request is applied
// as a whole or not at all, except under [Partial].
package fliplettest
