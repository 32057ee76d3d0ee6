package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
)

// A page sends what it would give to chat.message.
func ExampleDraftFromJS() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("hello")
	draft, err := chat.DraftFromJS([]byte(`{"body": "look", "file": ["https://example.org/a.png"], "guid": "7f0c", "sent": false}`))
	if err != nil {
		log.Fatal(err)
	}
	m, err := s.bob.Message(ctx, conv.ID, draft)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Body, m.Files, m.GUID, m.Data["sent"])
	_, err = chat.DraftFromJS([]byte(`{"body": "look", "file": [{}]}`))
	fmt.Println(err)
	// Output:
	// look [https://example.org/a.png] 7f0c false
	// chat: read a draft: invalid argument: file[0]: an object; JSON cannot carry a File, so send its data URL
}

// A page gives messages back as it got them.
func ExampleMessage_UnmarshalJSON() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.talk("hello")
	msgs, err := s.bob.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	inThePage, err := json.Marshal(msgs)
	if err != nil {
		log.Fatal(err)
	}
	var back []*chat.Message
	if err := json.Unmarshal(inThePage, &back); err != nil {
		log.Fatal(err)
	}
	if err := s.bob.MarkMessagesAsRead(ctx, back...); err != nil {
		log.Fatal(err)
	}
	fmt.Println(back[0].Body, back[0].IsReadByCurrentUser)
	// Output: hello true
}

// A rejection for a page.
func ExampleError_MarshalJSON() {
	s := newStage()
	defer s.close()
	_, err := s.jane.Login(context.Background(), chat.M{"Email": "nobody@example.org"})
	rejection, err := json.Marshal(err)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(rejection))
	// Output: {"code":404,"status":404,"message":"chat: login: contact not found"}
}

func ExampleWithToken() {
	s := newStage()
	defer s.close()
	for _, opts := range [][]chat.LoginOption{nil, {chat.WithToken()}} {
		me, err := s.jane.Login(context.Background(), chat.M{"Email": "jane@example.org"}, opts...)
		if err != nil {
			log.Fatal(err)
		}
		b, err := json.Marshal(me)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(strings.Contains(string(b), "flUserToken"))
	}
	// Output:
	// false
	// true
}

// A page shows the pictures of a conversation with <img src="/files/<message>/<number>">.
func ExampleChat_FileHandler() {
	s := newStage()
	defer s.close()
	conv := s.talk("hello")
	sent, err := s.jane.Message(context.Background(), conv.ID, chat.Draft{Files: []chat.File{{Name: "plan.txt", Content: []byte("the plan")}}})
	if err != nil {
		log.Fatal(err)
	}
	files := s.jane.FileHandler(func(r *http.Request) (*chat.Message, int, error) {
		id, errID := strconv.ParseInt(r.PathValue("message"), 10, 64)
		i, errNumber := strconv.Atoi(r.PathValue("number"))
		if errors.Join(errID, errNumber) != nil {
			return nil, 0, chat.ErrNotFound
		}
		m, err := conv.Messages().Get(r.Context(), id)
		return m, i, err
	})
	mux := http.NewServeMux()
	mux.Handle("/files/{message}/{number}", files)

	r := httptest.NewRequest("GET", fmt.Sprintf("/files/%d/0", sent.ID), nil)
	r.Header.Set("Range", "bytes=4-")
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, r)
	fmt.Println(answer.Code, answer.Header().Get("Content-Type"), answer.Body)
	// Output: 206 text/plain; charset=utf-8 plan
}

// A server with many users serves each with their own Chat.
func ExampleChat_ServeFile() {
	s := newStage()
	defer s.close()
	conv := s.talk("hello")
	m, err := s.jane.Message(context.Background(), conv.ID, chat.Draft{Files: []chat.File{{Name: "page.html", Content: []byte("<script>")}}})
	if err != nil {
		log.Fatal(err)
	}
	chats := map[string]*chat.Chat{"jane": s.jane, "eve": s.eve}
	handler := func(w http.ResponseWriter, r *http.Request) { chats[r.URL.Query().Get("user")].ServeFile(w, r, m, 0) }
	for _, who := range []string{"jane", "eve"} {
		answer := httptest.NewRecorder()
		handler(answer, httptest.NewRequest("GET", "/?user="+who, nil))
		fmt.Println(who, answer.Code, answer.Header().Get("Content-Disposition"))
	}
	// Output:
	// jane 200 attachment; filename=page.html
	// eve 404
}
