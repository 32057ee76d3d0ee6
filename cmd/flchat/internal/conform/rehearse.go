package conform

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// Rehearse asks all probes of a local Fliplet in this process: that tells which requests a run
// makes, and what the local Fliplet answers. It takes a fraction of a second.
func Rehearse(ctx context.Context, o Options) (*Report, error) {
	ear := &Ear{}
	server, err := fliplettest.Start(fliplettest.InProcess(), fliplettest.WithAppID(max(o.App, 1)), fliplettest.OnHook(http.HandlerFunc(ear.ServeHTTP)))
	if err != nil {
		return nil, err
	}
	defer server.Close() //nolint:errcheck // in memory
	dir, err := os.MkdirTemp("", "flchat-rehearsal-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary one
	local := Options{
		URL: server.URL, Transport: server.Transport(), App: server.AppID, Dir: dir, Only: o.Only,
		Token: server.AddUser("conform@flchat.invalid", "Flchat", "Conform", random()), Calls: datasource.Unlimited(), Logs: datasource.Unlimited(),
		Patience: 2 * time.Second, Quiet: 50 * time.Millisecond, Settle: time.Millisecond,
	}
	if o.APIToken != "" {
		local.APIToken = server.Token
	}
	if o.HookURL != "" {
		local.HookURL, local.Ear = "http://localhost/", ear
	}
	return Run(ctx, local)
}

// Answers are what the probes of a report have observed, for [Options.Local].
func (r *Report) Answers() map[string]string {
	out := make(map[string]string, len(r.Results))
	for i := range r.Results {
		out[r.Results[i].ID] = r.Results[i].Observed
	}
	return out
}
