// Package otelchat makes OpenTelemetry metrics and traces of a Chat. It is a module of its
// own, so that no other program links OpenTelemetry.
//
//	tel, err := otelchat.New(otelchat.Config{}) // the global providers
//	…
//	c, err := chat.Connect(ctx, chat.Options{…, Hooks: []chat.Hook{tel.Hook()}})
//	…
//	defer tel.Watch(c)()
//
// One Telemetry serves all Chats of a process. Names follow the semantic conventions for
// messaging where these fit; messaging.system is "fliplet".
//
// Metrics have no attribute that grows with users: no conversation, message, user, name of
// a consumer or address. However many Chats there are and whatever servers answer, there
// are fewer than 200 series, each bucket of a histogram counted. Ids of conversations and
// messages are on spans only. Neither has a token, a key, a body, the text of an error, or
// a URL: of requests there is the route alone.
//
// docs/observability.md of the repository has the metrics and what each fault moves;
// dashboard.json is a dashboard for Grafana over Prometheus.
package otelchat
