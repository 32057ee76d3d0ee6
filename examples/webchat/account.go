package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// logins splits the value of -as. Nobody is there twice.
func logins(list string) (out []string) {
	seen := map[string]bool{}
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one != "" && !seen[strings.ToLower(one)] {
			seen[strings.ToLower(one)] = true
			out = append(out, one)
		}
	}
	return out
}

// newAccountWorld is a real account, after its owner has said yes.
func newAccountWorld(ctx context.Context, e env, o options) (*world, error) {
	client, err := datasource.NewClient(datasource.Config{Token: o.token, BaseURL: o.url}) // checks both, and asks nobody
	if err != nil {
		return nil, err
	}
	defer client.CloseIdle()
	people := logins(o.as)
	fmt.Fprintf(e.errs, `This is going to write to the Fliplet account behind %s:
  - in data source %d, the contacts: flUserId and flUserToken in the rows of
    %s, where they are missing;
  - what you do on the page: messages, files, read marks, conversations and
    channels. All of it stays there until somebody deletes it.
Nothing is made up: no bot answers, and no network fails on purpose.
Whoever can open the page on this machine writes as these people.
`, client.BaseURL(), o.contacts, strings.Join(people, ", "))
	if !o.yes {
		fmt.Fprint(e.errs, "Type yes to go on: ")
		if err := confirm(ctx, e); err != nil {
			return nil, err
		}
	}
	w := &world{where: "over " + client.BaseURL(), config: config{
		URL: client.BaseURL(), Token: o.token, Contacts: o.contacts, App: o.app, PrimaryKey: o.primaryKey,
	}}
	for i, login := range people {
		w.config.People = append(w.config.People, person{As: fmt.Sprintf("%d", i+1), Name: login, Login: login})
	}
	return w, w.ownFolder()
}

// confirm waits for a yes, or for the end of ctx.
func confirm(ctx context.Context, e env) error {
	answer := make(chan string, 1)
	go func() { // ends with the process if nobody answers: a read cannot be called off
		line, _ := bufio.NewReader(e.in).ReadString('\n')
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
