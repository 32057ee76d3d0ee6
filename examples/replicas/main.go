// Replicas carries the messages of a user into a stream of NATS JetStream, with three processes
// of which one works and two stand by. It kills the one that works.
//
//	go run .
//
// What a replica does is in replica.go. Here three are started, over a local Fliplet and a
// nats-server inside this process, and what the stream has is counted. It takes about half a
// minute, because the lease of a dead process lasts 20 s.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/relay"
)

// configEnv makes this program a replica.
const configEnv = "REPLICA_CONFIG"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := start(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		os.Exit(1)
	}
}

// start is what a process of this program is for.
func start(ctx context.Context, out io.Writer) error {
	raw := os.Getenv(configEnv)
	if raw == "" {
		return scene(ctx, out)
	}
	var cfg config
	if err := json.Unmarshal([]byte(raw), &cfg); err != nil {
		return err
	}
	return replica(ctx, cfg, out)
}

const messages = 100

func scene(ctx context.Context, out io.Writer) error {
	fliplet, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer fliplet.Close()
	contacts, _ := fliplet.AddContacts(datasource.M{"Name": "Help desk", "flUserId": "desk"}, datasource.M{"Name": "Jane", "flUserId": "jane"})
	talk := fliplet.AddDataSource(datasource.M{
		"name": "Jane asks", "type": "conversation", "definition": datasource.M{"participants": []string{"desk", "jane"}},
	})
	say := func(n int) (ids []int64) {
		for range n {
			ids = append(ids, fliplet.AddRows(talk, datasource.M{"fromUserId": "jane", "body": "Is anybody there?"})...)
		}
		return ids
	}

	dir, err := os.MkdirTemp("", "replicas")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url, stop, err := natsServer(dir)
	if err != nil {
		return err
	}
	defer stop()

	cfg := config{NATS: url, URL: fliplet.URL, Token: fliplet.Token, Contacts: contacts, App: fliplet.AppID}
	working := make(chan *exec.Cmd, 10)
	for range 3 {
		end, err := launch(ctx, cfg, working)
		if err != nil {
			return err
		}
		defer end()
	}
	sent := say(messages)
	first, err := next(ctx, working)
	if err != nil {
		return err
	}
	if _, err := wait(ctx, url, len(sent)); err != nil {
		return err
	}
	fmt.Fprintf(out, "3 replicas, %d messages are in the stream\n", len(sent))

	if err := first.Process.Kill(); err != nil {
		return err
	}
	sent = append(sent, say(messages)...)
	if _, err := next(ctx, working); err != nil {
		return err
	}
	fmt.Fprintln(out, "the one that worked is killed, another one has taken over")
	have, err := wait(ctx, url, len(sent))
	if err != nil {
		return err
	}
	lost, twice := compare(sent, have)
	verdict := "ok"
	if lost+twice > 0 {
		verdict = "failed"
	}
	fmt.Fprintf(out, "%s: %d messages, %d lost, %d twice\n", verdict, len(sent), lost, twice)
	return nil
}

func compare(sent []int64, have map[int64]int) (lost, twice int) {
	for _, id := range sent {
		switch n := have[id]; {
		case n == 0:
			lost++
		case n > 1:
			twice += n - 1
		}
	}
	return lost, twice
}

// launch starts a replica. It is killed by end.
func launch(ctx context.Context, cfg config, working chan<- *exec.Cmd) (end func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), configEnv+"="+string(raw))
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			working <- cmd
		}
	}()
	return func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	}, nil
}

// next is the next replica that begins to work.
func next(ctx context.Context, working <-chan *exec.Cmd) (*exec.Cmd, error) {
	select {
	case cmd := <-working:
		return cmd, nil
	case <-time.After(3 * time.Minute):
		return nil, fmt.Errorf("no replica works after three minutes")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// wait reads the stream until it has n messages, as a consumer of it does, and a moment longer: what
// comes twice comes late.
func wait(ctx context.Context, url string, n int) (map[int64]int, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	reader, err := js.OrderedConsumer(ctx, "CHAT", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"chat.msg.>"}})
	if err != nil {
		return nil, err
	}
	events, err := reader.Messages()
	if err != nil {
		return nil, err
	}
	defer events.Stop()
	have := map[int64]int{}
	for {
		patience := time.Minute
		if len(have) >= n {
			patience = time.Second
		}
		m, err := events.Next(jetstream.NextMaxWait(patience))
		if err != nil && len(have) >= n {
			return have, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%d of %d messages are in the stream: %w", len(have), n, err)
		}
		var e relay.Envelope
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			return nil, err
		}
		if e.Kind == "message" {
			have[e.ID]++
		}
	}
}

// natsServer runs a server with JetStream that keeps what it has in dir.
func natsServer(dir string) (url string, stop func(), err error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		return "", nil, err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return "", nil, fmt.Errorf("the nats-server does not start")
	}
	return s.ClientURL(), func() { s.Shutdown(); s.WaitForShutdown() }, nil
}
