package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// The same people get the conversation that they have.
func ExampleChat_Create() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	first, err := s.jane.Create(ctx, chat.NewConversation{Participants: []int64{s.bobID}})
	if err != nil {
		log.Fatal(err)
	}
	again, err := s.bob.Create(ctx, chat.NewConversation{Participants: []int64{s.janeID}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first.IsNew, again.IsNew, first.ID == again.ID)
	// Output: true false true
}

// Metadata is yours: here it ties a conversation to a ticket.
func ExampleNewConversation() {
	s := newStage()
	defer s.close()
	conv, err := s.jane.Create(context.Background(), chat.NewConversation{
		Participants: []int64{s.bobID, s.eveID},
		Name:         "Ticket 42",
		Metadata:     chat.M{"ticket": 42},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(conv.Name, conv.NParticipants, conv.IsGroup, conv.Definition.Metadata["ticket"])
	// Output: Ticket 42 3 true 42
}

// The conversation with the latest activity comes first.
func ExampleChat_Conversations() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	for _, name := range []string{"Design", "Launch"} {
		people := []int64{s.bobID, s.eveID}
		if name == "Launch" {
			people = people[:1]
		}
		if _, err := s.jane.Create(ctx, chat.NewConversation{Participants: people, Name: name}); err != nil {
			log.Fatal(err)
		}
	}
	for _, who := range []*chat.Chat{s.jane, s.eve} {
		list, err := who.Conversations(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for _, conv := range list {
			fmt.Println(who.User().Data["Name"], "is in", conv.Name)
		}
	}
	// Output:
	// Jane is in Launch
	// Jane is in Design
	// Eve is in Design
}

// An invite code lets people in without anybody adding them.
func ExampleChat_JoinConversation() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv, err := s.jane.Create(ctx, chat.NewConversation{Participants: []int64{s.bobID}, AllowInvite: true})
	if err != nil {
		log.Fatal(err)
	}
	code, err := conv.InviteCode(ctx)
	if err != nil {
		log.Fatal(err)
	}
	joined, err := s.eve.JoinConversation(ctx, code)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(joined.ID == conv.ID, joined.NParticipants)

	_, err = s.eve.JoinConversation(ctx, "no such code")
	fmt.Println(errors.Is(err, chat.ErrNotFound))
	// Output:
	// true 3
	// true
}

func ExampleConversation_InviteCode() {
	s := newStage()
	defer s.close()
	conv := s.talk() // made without AllowInvite
	_, err := conv.InviteCode(context.Background())
	fmt.Println(errors.Is(err, chat.ErrNoInviteCode))
	// Output: true
}

// The key opens what other clients of the conversation have written. It is a
// secret: it prints nowhere by itself, and JSON leaves it out.
func ExampleConversation_EncryptionKey() {
	s := newStage()
	defer s.close()
	conv := s.talk()
	key := conv.EncryptionKey()
	b, err := json.Marshal(conv)
	if err != nil {
		log.Fatal(err)
	}
	stored, err := s.server.Client().DataSource(context.Background(), conv.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(key), strings.Contains(string(stored.Definition), key), strings.Contains(string(b), key))
	// Output: 32 true false
}

func ExampleConversation_IsMuted() {
	s := newStage()
	defer s.close()
	conv := s.talk()
	fmt.Println(conv.IsMuted())
	if err := conv.Notifications().Mute(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(conv.IsMuted()) // the same value knows at once
	// Output:
	// false
	// true
}

func ExampleConversation_MarshalJSON() {
	s := newStage()
	defer s.close()
	b, err := json.Marshal(s.talk())
	if err != nil {
		log.Fatal(err)
	}
	var js struct {
		Type                      string
		IsNew, IsMuted, IsChannel bool
		NParticipants             int
	}
	if err := json.Unmarshal(b, &js); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", js)
	// Output: {Type:conversation IsNew:true IsMuted:false IsChannel:false NParticipants:2}
}

// Whatever the verb, a conversation prints without its key and definition.
func ExampleConversation_Format() {
	s := newStage()
	defer s.close()
	conv := s.talk()
	fmt.Println(strings.Contains(fmt.Sprintf("%#v", conv), conv.EncryptionKey()))
	// Output: false
}

func ExampleDefinition_MarshalJSON() {
	s := newStage()
	defer s.close()
	conv, err := s.jane.Create(context.Background(), chat.NewConversation{
		Participants: []int64{s.bobID}, Group: chat.M{"readOnly": true}, Metadata: chat.M{"topic": "launch"},
	})
	if err != nil {
		log.Fatal(err)
	}
	b, err := json.Marshal(conv.Definition)
	if err != nil {
		log.Fatal(err)
	}
	var js map[string]any
	if err := json.Unmarshal(b, &js); err != nil {
		log.Fatal(err)
	}
	fmt.Println(js["group"], js["metadata"], js["encryptionKey"])
	// Output: map[readOnly:true] map[topic:launch] <nil>
}

func ExampleDefinition_Format() {
	s := newStage()
	defer s.close()
	fmt.Println(s.talk().Definition)
	// Output: definition with 2 participants
}

// Members are named by their flUserIds, which outlive rows of contacts.
func ExampleConversation_Participants() {
	s := newStage()
	defer s.close()
	members := s.talk().Participants().IDs()
	fmt.Println(slices.Contains(members, s.jane.User().UserID), slices.Contains(members, s.eve.User().UserID))
	// Output: true false
}

func ExampleParticipants_IDs() {
	s := newStage()
	defer s.close()
	ids := s.talk().Participants().IDs() // of Jane, and of Bob, who was chosen by the id of his contact
	fmt.Println(len(ids), ids[0] == s.jane.User().UserID, ids[1] == s.bob.User().UserID)
	// Output: 2 true true
}

func ExampleParticipants_Fetch() {
	s := newStage()
	defer s.close()
	members, err := s.talk().Participants().Fetch(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, contact := range members {
		fmt.Println(contact.Data["Name"])
	}
	// Output:
	// Jane
	// Bob
}

func ExampleParticipants_Add() {
	s := newStage()
	defer s.close()
	conv := s.talk()
	if err := conv.Participants().Add(context.Background(), s.eveID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(conv.NParticipants, conv.IsGroup)
	// Output: 3 true
}

// Removing the user means leaving.
func ExampleParticipants_Remove() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	if err := conv.Participants().Remove(ctx, s.janeID); err != nil {
		log.Fatal(err)
	}
	left, err := s.jane.Conversations(ctx)
	fmt.Println(len(left), err, len(conv.Definition.RemovedParticipants))
	// Output: 0 <nil> 1
}

func ExampleConversation_Notifications() {
	s := newStage()
	defer s.close()
	quiet := s.talk().Notifications() // a handle; no request yet
	fmt.Println(quiet.Mute(context.Background()))
	// Output: <nil>
}

func ExampleNotifications_Mute() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	if err := conv.Notifications().Mute(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("muted", conv.IsMuted())
	for _, who := range []*chat.Chat{s.jane, s.bob} { // for the one who muted, not for others
		list, err := who.Conversations(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(who.User().Data["Name"], list[0].IsMuted())
	}
	if err := conv.Notifications().Unmute(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("muted", conv.IsMuted())
	// Output:
	// muted true
	// Jane true
	// Bob false
	// muted false
}

func ExampleNotifications_Unmute() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk()
	if err := conv.Notifications().Mute(ctx); err != nil {
		log.Fatal(err)
	}
	if err := conv.Notifications().Unmute(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(conv.IsMuted())
	// Output: false
}

func ExampleChat_Channels() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	news, err := s.jane.Channels().Create(ctx, "News")
	if err != nil {
		log.Fatal(err)
	}
	conv, err := s.bob.Channels().Join(ctx, news.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(conv.Name, conv.IsChannel, conv.NParticipants)
	// Output: News true 1
}

// The creator of a channel is not a member before joining.
func ExampleChannels_Create() {
	s := newStage()
	defer s.close()
	channel, err := s.jane.Channels().Create(context.Background(), "News")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(channel.Name, channel.NParticipants)
	// Output: News 0
}

func ExampleChannels_List() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	for _, name := range []string{"News", "Lunch"} {
		if _, err := s.jane.Channels().Create(ctx, name); err != nil {
			log.Fatal(err)
		}
	}
	channels, err := s.eve.Channels().List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, channel := range channels {
		fmt.Println(channel.Name)
	}
	// Unordered output:
	// News
	// Lunch
}

// Nothing but a public channel can be joined.
func ExampleChannels_Join() {
	s := newStage()
	defer s.close()
	private := s.talk()
	_, err := s.eve.Channels().Join(context.Background(), private.ID)
	fmt.Println(errors.Is(err, chat.ErrNotFound))
	// Output: true
}

// Deleting takes the token of a person; those of apps are refused.
func ExampleChannels_Delete() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	opts := s.options()
	token, _ := s.server.AddToken(fliplettest.UserToken)
	opts.Client = s.server.ClientFor(token)
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	channel, err := c.Channels().Create(ctx, "News")
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Channels().Delete(ctx, channel.ID); err != nil {
		log.Fatal(err)
	}
	left, err := c.Channels().List(ctx)
	fmt.Println(len(left), err)
	// Output: 0 <nil>
}

func ExampleChannel_MarshalJSON() {
	s := newStage()
	defer s.close()
	channel, err := s.jane.Channels().Create(context.Background(), "News")
	if err != nil {
		log.Fatal(err)
	}
	b, err := json.Marshal(channel)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(string(b), `"isChannel":true`))
	// Output: true
}

// Conversation reads one of the user's conversations by its id.
func ExampleChat_Conversation() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	id := s.talk("hello").ID
	conv, err := s.bob.Conversation(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(conv.ID == id, conv.NParticipants)
	_, err = s.eve.Conversation(ctx, id)
	fmt.Println(errors.Is(err, chat.ErrNotFound))
	// Output:
	// true 2
	// true
}

// ContactByUserID finds the sender of a message.
func ExampleChat_ContactByUserID() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.talk("hello")
	messages, err := s.bob.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	who, err := s.bob.ContactByUserID(ctx, messages[0].FromUserID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(who.Data["Email"])
	// Output: jane@example.org
}
