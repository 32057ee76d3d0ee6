package chat_test

import (
	"context"
	"fmt"
	"log"

	chat "github.com/fliplet/fliplet-chat-go"
)

// Whatever the verb, nothing of this package prints a token, a key or a body, so
// any value may be logged.

func ExampleFile_Format() {
	fmt.Printf("%+v\n", chat.File{Name: "map.png", ContentType: "image/png", Content: []byte("secret")})
	// Output: file "map.png" (image/png), 6 bytes
}

func ExampleNewConversation_Format() {
	fmt.Printf("%+v\n", chat.NewConversation{Participants: []int64{7, 8}, Metadata: chat.M{"case": "secret"}})
	// Output: new conversation with 2 contacts
}

func ExampleRegistry_Format() {
	fmt.Printf("%+v\n", new(chat.Registry))
	// Output: chat registry
}

func ExampleChannels_Format() {
	s := newStage()
	defer s.close()
	fmt.Printf("%+v\n", s.jane.Channels())
	// Output: channels
}

func ExampleUnread_Format() {
	s := newStage()
	defer s.close()
	fmt.Printf("%+v\n", s.jane.Unread())
	// Output: unread messages
}

func ExampleParticipants_Format() {
	s := newStage()
	defer s.close()
	conv := s.talk()
	text := fmt.Sprintf("%+v", conv.Participants())
	fmt.Println(text == fmt.Sprintf("participants of conversation %d", conv.ID))
	// Output: true
}

func ExampleNotifications_Format() {
	s := newStage()
	defer s.close()
	conv := s.talk()
	text := fmt.Sprintf("%+v", conv.Notifications())
	fmt.Println(text == fmt.Sprintf("notifications of conversation %d", conv.ID))
	// Output: true
}

func ExampleConversationMessages_Format() {
	s := newStage()
	defer s.close()
	conv := s.talk()
	text := fmt.Sprintf("%+v", conv.Messages())
	fmt.Println(text == fmt.Sprintf("messages of conversation %d", conv.ID))
	// Output: true
}

func ExampleSubscription_Format() {
	s := newStage()
	defer s.close()
	sub, err := s.bob.Stream(context.Background(), func(*chat.Message) {})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sub)
	sub.Stop()
	<-sub.Done()
	fmt.Println(sub)
	// Output:
	// subscription, running
	// subscription, ended
}
