package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// account is what the environment says about a real account.
type account struct {
	token, url, primaryKey string
	contacts, app          int64
	logins                 [2]string
}

func readAccount(get func(string) string) (account, error) {
	a := account{token: get("FLIPLET_TOKEN"), url: get("FLIPLET_API_URL"), primaryKey: get("FLIPLET_PRIMARY_KEY")}
	if a.primaryKey == "" {
		a.primaryKey = "Email"
	}
	var errs []error
	id := func(name string, required bool) int64 {
		text := get(name)
		if text == "" && !required {
			return 0
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 {
			errs = append(errs, fmt.Errorf("%s: %q is not an id; set it to a number", name, text))
		}
		return n
	}
	a.contacts, a.app = id("FLIPLET_CONTACTS", true), id("FLIPLET_APP_ID", false)
	if a.token == "" {
		errs = append(errs, errors.New("FLIPLET_TOKEN: not set; FLIPLET_CONTACTS alone is not enough"))
	}
	for i, name := range []string{"FLIPLET_LOGIN_A", "FLIPLET_LOGIN_B"} {
		if a.logins[i] = strings.TrimSpace(get(name)); a.logins[i] == "" {
			errs = append(errs, fmt.Errorf("%s: not set; give the %s of a contact", name, a.primaryKey))
		}
	}
	if len(errs) == 0 && strings.EqualFold(a.logins[0], a.logins[1]) {
		errs = append(errs, errors.New("FLIPLET_LOGIN_A and FLIPLET_LOGIN_B: the same contact; two are needed"))
	}
	return a, errors.Join(errs...)
}

// runAccount lets two contacts of a real account talk.
func runAccount(ctx context.Context, out io.Writer, e env) error {
	a, err := readAccount(e.get)
	if err != nil {
		return err
	}
	client, err := datasource.NewClient(datasource.Config{Token: a.token, BaseURL: a.url, HTTPClient: e.http})
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	fmt.Fprintf(out, `This is going to write to the Fliplet account behind %s:
  - in data source %d, the contacts: flUserId and flUserToken in the rows of
    %s and %s, where they are missing;
  - a new data source of type "conversation" for these two, unless they have one;
  - in it: 5 messages, of which one is edited, three are marked as read and one
    is deleted again. The other four stay.
`, client.BaseURL(), a.contacts, a.logins[0], a.logins[1])
	if e.get("FLIPLET_YES") != "1" {
		fmt.Fprint(out, "Type yes to go on: ")
		if err := confirm(ctx, e.in); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s := &story{
		out: out, client: client, timeout: 30 * time.Second,
		opts: chat.Options{
			Client: client, DataSourceID: a.contacts, AppID: a.app,
			PrimaryKey: a.primaryKey, EncryptMessages: true,
		},
	}
	defer s.end()
	s.chapter("Two people log in")
	var people [2]*person
	for i, login := range a.logins {
		if people[i], err = s.join(ctx, login, a.primaryKey, login); err != nil {
			return err
		}
	}
	if _, err := s.twoPeople(ctx, people[0], people[1]); err != nil {
		return err
	}
	return s.audit(ctx)
}

// confirm waits for a yes, or for the end of ctx.
func confirm(ctx context.Context, in io.Reader) error {
	answer := make(chan string, 1)
	go func() { // ends with the process if nobody answers: a read cannot be called off
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		if text := strings.ToLower(strings.TrimSpace(line)); text != "yes" && text != "y" {
			return errors.New("not confirmed; nothing was written")
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
