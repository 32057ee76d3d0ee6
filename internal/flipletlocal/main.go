package flipletlocal

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// config is what the arguments say.
type config struct {
	addr, token, data   string
	studioUser          string // an e-mail address; "" is nobody
	hosts               []string
	hookHosts           []string
	rateLimit, seedDemo bool
	seed                uint64 // 0: everything is random
	limits              []flipletd.Limit
}

// Run is the program; it returns its exit status: 2 for what the arguments say and cannot be used, 1 for other failures. It
// runs until ctx ends.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // the flag package has said why
	}
	if err := serve(ctx, cfg, stdout, slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		fmt.Fprintln(stderr, "fliplet-local:", err)
		if _, usage := errors.AsType[*usageError](err); usage {
			return 2
		}
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (config, error) {
	var cfg config
	f := flag.NewFlagSet("fliplet-local", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&cfg.addr, "addr", "127.0.0.1:8899", "listen on this `address`; port 0 takes a free one")
	f.StringVar(&cfg.token, "token", "", "the API `token` that clients show (default a random one, printed at the start)")
	f.Func("host", "also answer requests for this `name`, or name:port; may be given several times", func(value string) error {
		cfg.hosts = append(cfg.hosts, value)
		return checkHost(value)
	})
	f.Func("hook-hosts", "let web hooks send requests to these `hosts`, too: names or addresses, perhaps with a port, between commas; may be given several times (default this machine only)", func(value string) error {
		for host := range strings.SplitSeq(value, ",") {
			host = strings.TrimSpace(host)
			if err := flipletd.CheckHookHost(host); err != nil {
				return err
			}
			cfg.hookHosts = append(cfg.hookHosts, host)
		}
		return nil
	})
	f.StringVar(&cfg.data, "data", "", "keep the state in this `file`; without it, it ends with the program")
	f.BoolVar(&cfg.rateLimit, "rate-limit", false, "enforce the documented limits: 200 requests per 10 s and user, 30 of the audit log")
	f.Func("limit", "a `limit` of all that share a token, user, app or organization, such as organization=500/10s or logs:user=5/1m; may be given several times", func(value string) error {
		limit, err := parseLimit(value)
		cfg.limits = append(cfg.limits, limit)
		return err
	})
	f.BoolVar(&cfg.seedDemo, "seed-demo", false, "add contacts and a conversation, if they are not there yet")
	f.Uint64Var(&cfg.seed, "seed", 0, "draw tokens, passwords and GUIDs from this `number`, so that every start gives the same; who knows it knows them")
	f.StringVar(&cfg.studioUser, "studio-user", "", "add a user of Studio with this `e-mail` address, who passes every access rule; the line at the start has the password and the token")
	if err := f.Parse(args); err != nil {
		return cfg, err
	}
	refuse := func(format string, a ...any) (config, error) {
		err := fmt.Errorf(format, a...)
		fmt.Fprintln(stderr, "fliplet-local:", err)
		f.Usage()
		return cfg, err
	}
	if f.NArg() > 0 {
		return refuse("%q is no flag; they all begin with -", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(set *flag.Flag) { given[set.Name] = true })
	if given["seed"] && cfg.seed == 0 {
		return refuse("-seed: give a number above 0, or leave it out for tokens that nobody can guess")
	}
	if !given["token"] && cfg.seed == 0 { // with a seed the server draws it
		cfg.token = "eu--" + rand.Text()
	}
	if drawn := !given["token"] && cfg.seed != 0; !drawn && !strings.Contains(cfg.token, "--") || strings.ContainsFunc(cfg.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return refuse("-token: give a region, two dashes and a name without spaces, such as eu--local")
	}
	if name, domain, ok := strings.Cut(cfg.studioUser, "@"); given["studio-user"] && (!ok || name == "" || domain == "" || strings.ContainsFunc(cfg.studioUser, func(r rune) bool { return r <= ' ' || r > '~' })) {
		return refuse("-studio-user: give an e-mail address without spaces, such as studio@example.org")
	}
	return cfg, nil
}
