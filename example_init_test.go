package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// app is the environment of an app in Fliplet Studio with a chat and push
// notifications, in which Jane is logged in.
func (s *stage) app() chat.AppEnvironment {
	s.server.SetWidget("com.fliplet.chat", datasource.M{"dataSourceId": s.contacts, "primaryKey": "Email"})
	s.server.SetWidget("com.fliplet.push-notifications", datasource.M{"configured": true})
	token, _ := s.server.AddToken(fliplettest.AppToken)
	client := s.server.ClientFor(token)
	err := client.Call(context.Background(), http.MethodPost, "v1/session/authorize/dataSource", nil, datasource.M{
		"passport": "dataSource", "dataSourceId": s.contacts, "where": datasource.M{"Email": "jane@example.org"},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	return chat.AppEnvironment{Options: chat.Options{Client: client, AppID: s.server.AppID}}
}

// The settings come from the app's chat widget, the user from the session.
func ExampleInit() {
	s := newStage()
	defer s.close()

	c, err := chat.Init(context.Background(), s.app(), func(o *chat.Options) {
		o.PushNotifications = false // on by default, as encryption is
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.User().Data["Name"])
	// Output: Jane
}

// A login screen has left in storage who is there; a screen without a chat
// registers that person's device.
func ExampleSubscribe() {
	s := newStage()
	defer s.close()
	ctx := context.Background()

	env := s.app()
	env.Options.Push, env.Options.Storage = phone("subscription 71"), storage.NewMemory()
	_, err := chat.Subscribe(ctx, env)
	fmt.Println(errors.Is(err, chat.ErrNoCrossLogin))

	env.Options.Storage.Set(ctx, "fl-chat-auth-email", []byte(`"bob@example.org"`))
	env.Options.Storage.Set(ctx, "fl-chat-source-id", fmt.Append(nil, s.contacts))
	c, err := chat.Subscribe(ctx, env)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.User().Data["Name"], "has", c.User().Data["flPushSubscriptionId"])
	// Output:
	// true
	// Bob has subscription 71
}

// phone is a PushRegistrar; a real one asks the system.
type phone string

func (p phone) Subscribe(context.Context, *chat.Contact) (string, error) { return string(p), nil }

// A server gives each of its users a registry, so that no Chat is everybody's.
func ExampleRegistry() {
	s := newStage()
	defer s.close()
	ctx := context.Background()

	users := map[string]*chat.Registry{"jane": {}, "bob": {}}
	for name, r := range users {
		c, err := r.Connect(ctx, s.options())
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Login(ctx, chat.M{"Email": name + "@example.org"}); err != nil {
			log.Fatal(err)
		}
	}
	c, err := users["bob"].Get(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.User().Data["Name"])
	// Output: Bob
}

func ExampleRegistry_Init() {
	s := newStage()
	defer s.close()

	var tenant chat.Registry
	c, err := tenant.Init(context.Background(), s.app())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.User().Data["Name"])
	// Output: Jane
}

func ExampleRegistry_Subscribe() {
	s := newStage()
	defer s.close()

	env := s.app()
	s.server.SetWidget("com.fliplet.push-notifications", datasource.M{"configured": false})
	var tenant chat.Registry
	_, err := tenant.Subscribe(context.Background(), env)
	fmt.Println(err)
	// Output: chat: subscribe: push notifications are off
}

func ExampleAppEnvironment_ChatSettings() {
	s := newStage()
	defer s.close()

	opts, err := s.app().ChatSettings(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(opts.DataSourceID == s.contacts, opts.PrimaryKey)
	// Output: true Email
}

func ExampleAppEnvironment_CurrentUser() {
	s := newStage()
	defer s.close()

	user, err := s.app().CurrentUser(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user["Name"])
	// Output: Jane
}

func ExampleAppEnvironment_PushEnabled() {
	s := newStage()
	defer s.close()

	on, err := s.app().PushEnabled(context.Background())
	fmt.Println(on, err)
	// Output: true <nil>
}

// variables stand in for those of the process, which os.Getenv would read.
func (s *stage) variables() chat.LocalEnvironment {
	vars := map[string]string{
		"FLIPLET_CHAT_DATA_SOURCE_ID": fmt.Sprint(s.contacts), "FLIPLET_CHAT_PRIMARY_KEY": "Email",
		"FLIPLET_CHAT_USER": "eve@example.org", "FLIPLET_PUSH": "false",
	}
	// With FLIPLET_TOKEN no Client is needed.
	return chat.LocalEnvironment{
		Getenv:  func(name string) string { return vars[name] },
		Options: chat.Options{Client: s.server.Client()},
	}
}

// A bot is configured by the environment it runs in.
func ExampleLocalEnvironment() {
	s := newStage()
	defer s.close()

	c, err := chat.Init(context.Background(), s.variables())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.User().Data["Name"])
	// Output: Eve
}

func ExampleLocalEnvironment_ChatSettings() {
	dir, err := os.MkdirTemp("", "chat")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "chat.json")
	settings := `{"token": "eu--secret", "appId": 12, "chat": {"dataSourceId": 731, "primaryKey": "Email"}}`
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		log.Fatal(err)
	}
	env := chat.LocalEnvironment{File: path, Getenv: func(string) string { return "" }}
	opts, err := env.ChatSettings(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(opts.DataSourceID, opts.PrimaryKey, opts.AppID, opts.Client.BaseURL())
	// Output: 731 Email 12 https://api.fliplet.com
}

func ExampleLocalEnvironment_CurrentUser() {
	s := newStage()
	defer s.close()

	user, err := s.variables().CurrentUser(context.Background())
	fmt.Println(user, err)
	// Output: map[Email:eve@example.org] <nil>
}

func ExampleLocalEnvironment_PushEnabled() {
	s := newStage()
	defer s.close()

	on, err := s.variables().PushEnabled(context.Background())
	fmt.Println(on, err)

	_, err = chat.LocalEnvironment{Getenv: func(string) string { return "" }}.PushEnabled(context.Background())
	fmt.Println(errors.Is(err, chat.ErrNoPushWidget))
	// Output:
	// false <nil>
	// true
}
