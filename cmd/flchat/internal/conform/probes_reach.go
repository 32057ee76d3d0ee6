package conform

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const reaching = "Reaching the service"

// timestamp is how times are documented.
var timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

func user(as credential) func(*asker) string {
	return func(a *asker) string { return a.do(call{method: "GET", path: "/v1/user", as: as}).said() }
}

func reachProbes() []Probe {
	return []Probe{
		{ID: "reach.header", Section: reaching, Fact: "A token is accepted in the header Auth-token.", Known: Documented, Expect: "200", ask: user(asUser)},
		{ID: "reach.bearer", Section: reaching, Fact: "A token is accepted as Authorization: Bearer, in base64.", Known: Documented, Expect: "200", Copes: []string{"401"}, ask: user(asUserBearer)},
		{ID: "reach.bearer-raw", Section: reaching, Fact: "A token is accepted as Authorization: Bearer as it is.", Known: Open, Expect: "200", ask: user(asUserBearerRaw)},
		{ID: "reach.cookie", Section: reaching, Fact: "A token is accepted in the cookie auth_token.", Known: Documented, Expect: "200", Copes: []string{"401"}, ask: user(asUserCookie)},
		{ID: "reach.two-tokens", Section: reaching, Fact: "Of two tokens that differ the one in Auth-token counts.", Known: Open, Expect: "200", ask: user(asUserStranger)},
		{ID: "reach.no-token", Section: reaching, Fact: "A request without a token is refused.", Known: Open, Expect: "401", ask: user(asNobody)},
		{ID: "reach.unknown-token", Section: reaching, Fact: "An unknown token is 401 with the error \"not authorised\".", Known: Documented, Expect: "401, not authorised", Copes: []string{"401, in other words"}, ask: func(a *asker) string {
			said := a.do(call{method: "GET", path: "/v1/user", as: asStranger})
			if said.status != http.StatusUnauthorized {
				return said.said()
			}
			return yes(said.object()["error"] == "not authorised", "401, not authorised", "401, in other words")
		}},
		{ID: "reach.user", Section: reaching, Fact: "v1/user answers {user} with an id.", Known: Seen, Expect: "user with an id", ask: func(a *asker) string {
			who, _ := a.do(call{method: "GET", path: "/v1/user"}).object()["user"].(object)
			return yes(id(who["id"]) != 0, "user with an id", "something else")
		}},
		{ID: "reach.timestamps", Section: "Data sources and rows", Fact: "Times are ISO 8601 in UTC, with milliseconds.", Known: Documented, Expect: "with milliseconds", Copes: []string{"another ISO form"}, ask: func(a *asker) string {
			l := a.list()
			text, _ := a.read(l.source, l.rows[0]).entry()["createdAt"].(string)
			switch {
			case timestamp.MatchString(text):
				return "with milliseconds"
			case !when(text).IsZero():
				return "another ISO form"
			}
			return "something else"
		}},
		{ID: "reach.clock", Section: "Polling", Fact: "The header Date and the times of rows come from clocks that agree within 5 s.", Known: Inferred, Expect: "they agree", Copes: []string{"there is no Date"}, ask: func(a *asker) string {
			source := a.source("writes", nil)
			said := a.do(call{method: "PUT", path: path(source) + "/data", body: object{"what": "clock"}})
			date, err := http.ParseTime(said.header.Get("Date"))
			if err != nil {
				return "there is no Date"
			}
			apart := date.Sub(when(said.entry()["createdAt"])).Abs()
			a.measure(apart.Milliseconds(), "ms apart")
			return yes(apart < 5*time.Second+time.Second, "they agree", "they do not agree")
		}},
		{ID: "reach.unknown-path", Section: "What counts as a refusal", Fact: "A path that does not exist is 404.", Known: Open, Expect: "404", ask: func(a *asker) string {
			return a.do(call{method: "GET", path: "/v1/flchat-conform-does-not-exist"}).said()
		}},
		{ID: "reach.bad-json", Section: "What counts as a refusal", Fact: "A body that is no JSON is 400.", Known: Documented, Expect: "400", Copes: []string{"422"}, ask: func(a *asker) string {
			return a.do(call{method: "POST", path: path(a.list().source) + "/data/query", text: `{"where":`}).said()
		}},
		{ID: "reach.errors", Section: "What counts as a refusal", Fact: "An error is JSON with a message.", Known: Documented, Expect: "a message", Copes: []string{"JSON without a message"}, ask: func(a *asker) string {
			said := a.do(call{method: "GET", path: path(a.list().source) + "/data/not-a-number"})
			o := said.object()
			_, text := o["message"].(string)
			switch {
			case said.ok():
				return "a success"
			case text:
				return "a message"
			}
			return yes(said.body != nil, "JSON without a message", "no JSON")
		}},
		{ID: "reach.limit-scope", Section: reaching, Fact: "Who shares the limit: whether the API token is refused, too, when the user's has made too many requests. Limits are never provoked, so this is known only if one was met.", Known: Open, Expect: "the API token is not refused", ask: func(a *asker) string {
			switch {
			case a.limited == nil:
				a.skip("no request was refused for the limit, which a run does not come near to")
			case a.limited.other == "":
				a.skip("it takes an API token of the app: give one with --api-token-file")
			}
			return yes(a.limited.other == "429", "the API token is refused, too", "the API token is not refused")
		}},
		{ID: "reach.limit-headers", Section: reaching, Fact: "Answers say nothing of the limit before it is reached.", Known: Open, Expect: "no headers", ask: func(a *asker) string {
			if len(a.headers) == 0 {
				return "no headers"
			}
			var known []string
			for _, name := range []string{"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy"} {
				if slices.Contains(a.headers, name) {
					known = append(known, name)
				}
			}
			return yes(known == nil, "other headers", strings.Join(known, ", "))
		}},
	}
}
