// Command fliplet-local runs a local Fliplet: data sources and chats behind the
// same REST API, without an account.
//
//	go run ./cmd/fliplet-local -addr 127.0.0.1:8899 -token eu--local
//
// When it accepts requests it prints one line to standard output:
//
//	fliplet-local: http://127.0.0.1:8899 token eu--local app 1 organization 1
//
// The address goes into datasource.Config.BaseURL and the token into
// datasource.Config.Token. A page at / shows a person the conversations, the data
// sources, which requests come in and which hooks run; it asks for no token, so every
// user of the machine can read the names and messages on it. What is encrypted stays so,
// and no token, key or other column of a row is shown. Everything else that there is to say goes to standard error,
// and never holds a token, a key or a message. Without -token, each start makes a
// token of its own.
//
//	-addr        where to listen; port 0 takes a free one (default 127.0.0.1:8899)
//	-token       the API token that clients show (default a random one, in the line above)
//	-host        another name under which clients reach it, or name:port; may be repeated
//	-hook-hosts  hosts that web hooks of data sources may send requests to, beside this
//	             machine, between commas; may be repeated
//	-data        a file that keeps the state; without it, the state ends with the program
//	-rate-limit  enforce the documented limits: 200 requests per 10 s and user, 30 of the
//	             audit log
//	-limit       a limit of all that share a token, user, app or organization, such as
//	             organization=500/10s or, for the audit log, logs:user=5/1m; may be
//	             repeated; 0/1s lifts one of -rate-limit
//	-seed-demo   add contacts and a conversation, if they are not there yet; the line then
//	             ends with "contacts" and the id of their data source
//	-seed        draw tokens, passwords and GUIDs from this number, the same in every start;
//	             who knows it knows them
//	-studio-user add a user of Studio with this e-mail address, who passes every access
//	             rule; the line then ends with "studio-user", the address, "password", a
//	             random one, "studio-token" and the user's token
//
// With -data, a request is answered when its changes are on the disk: they
// survive kill -9. SIGINT and SIGTERM end the program with status 0 after the
// requests in progress; it is 1 when something fails, and 2 when the arguments
// make no sense.
//
// It is meant for development: it speaks plain HTTP and has one token. It answers
// requests for localhost and for the address that it listens on, not for other names,
// unless -host gives them. Requests that a browser sends for a page of another origin
// are refused, also images, forms and links, unless they go to the API with a token in a
// header, which no browser adds by itself.
// Programs without an Origin, such as curl and the SDKs, need the token only.
package main
