package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// exampleSecret stands for 32 random bytes from a safe place.
func exampleSecret(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func exampleKey(id string) *chat.Key {
	key, err := chat.DeriveKeys(id, exampleSecret('s'))
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// exampleCipher writes with one key and reads with two.
func exampleCipher() *chat.Cipher {
	c, err := chat.NewCipher(exampleKey("2026-06"), exampleKey("2025-06"))
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// withCipher is another chat of Jane, one that authenticates what it writes.
func (s *stage) withCipher(cipher *chat.Cipher) *chat.Chat {
	opts := s.options()
	opts.Cipher = cipher
	c, err := chat.Connect(context.Background(), opts)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Login(context.Background(), chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	return c
}

// With a Cipher, bodies that were changed or moved on the server are noticed.
func ExampleNewCipher() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	cipher, err := chat.NewCipher(exampleKey("2026-06"))
	if err != nil {
		log.Fatal(err)
	}
	defer cipher.Close()
	jane := s.withCipher(cipher)
	defer jane.Close()
	conv := s.talk()
	var rows [2]*chat.Message
	for i, text := range []string{"Pay Bob", "Do not pay"} {
		if rows[i], err = jane.Message(ctx, conv.ID, chat.Draft{Body: text}); err != nil {
			log.Fatal(err)
		}
	}
	// Somebody with access to the server puts one body in the place of another.
	server := s.server.Client()
	other, err := server.FindByID(ctx, conv.ID, rows[0].ID)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := server.Update(ctx, conv.ID, rows[1].ID, datasource.M{"body": other.Data["body"]}); err != nil {
		log.Fatal(err)
	}
	msgs, err := jane.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(msgs[0].Body, errors.Is(msgs[1].Err, chat.ErrTampered))
	// Output: Pay Bob true
}

// First every program gets the new key to read with; then it may write.
func ExampleCipher_Add() {
	c, err := chat.NewCipher(exampleKey("2025-06"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Add(exampleKey("2026-06")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Writer())
	// Output: 2025-06
}

func ExampleCipher_Promote() {
	c := exampleCipher()
	defer c.Close()
	if err := c.Promote("2025-06"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Writer())
	// Output: 2025-06
}

// A key can go when nothing that it wrote is left; see Chat.Reencrypt.
func ExampleCipher_Remove() {
	c := exampleCipher()
	defer c.Close()
	fmt.Println(c.Remove("2025-06"))
	fmt.Println(errors.Is(c.Remove("2026-06"), chat.ErrInvalid)) // it writes
	// Output:
	// <nil>
	// true
}

func ExampleCipher_Writer() {
	c := exampleCipher()
	defer c.Close()
	fmt.Println(c.Writer())
	// Output: 2026-06
}

// Closing wipes the keys.
func ExampleCipher_Close() {
	c := exampleCipher()
	if err := c.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(c.Add(exampleKey("2027-06")), chat.ErrClosed))
	// Output: true
}

// Ciphers and keys print and marshal as names.
func ExampleCipher_String() {
	c := exampleCipher()
	defer c.Close()
	b, err := json.Marshal(c)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bytes.Contains(b, []byte("2026-06")), bytes.Contains(b, []byte("ssss")))
	// Output: true false
}

func ExampleKey_String() {
	fmt.Println(bytes.Contains(fmt.Append(nil, exampleKey("2026-06")), []byte("ssss")))
	// Output: false
}

// One key for everything.
func ExampleNewKey() {
	key, err := chat.NewKey("2026-06", exampleSecret('k'))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.ID())
	// Output: 2026-06
}

// One secret, and another key for each conversation.
func ExampleDeriveKeys() {
	key, err := chat.DeriveKeys("2026-06", exampleSecret('s'))
	fmt.Println(key.ID(), err)
	_, err = chat.DeriveKeys("2026-06", []byte("short"))
	fmt.Println(errors.Is(err, chat.ErrInvalid))
	// Output:
	// 2026-06 <nil>
	// true
}

// For what a person can remember. It takes a fraction of a second on purpose.
func ExampleStretchPassphrase() {
	key, err := chat.StretchPassphrase("team", "correct horse battery staple", []byte("16 random bytes!"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.ID())
	// Output: team
}

func ExampleKey_ID() {
	fmt.Println(exampleKey("2026-06").ID())
	// Output: 2026-06
}

// What was written before there was a Cipher moves to its key.
func ExampleChat_Reencrypt() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("one", "two") // not authenticated
	cipher := exampleCipher()
	defer cipher.Close()
	jane := s.withCipher(cipher)
	defer jane.Close()
	done, err := jane.Reencrypt(ctx, conv.ID, nil)
	if err != nil {
		log.Fatal(err)
	}
	msgs, err := jane.Messages(ctx)
	fmt.Println(done.Moved, msgs[0].Body, msgs[1].Body, err)
	// Output: 2 one two <nil>
}

// agentKey makes the keystore that Fliplet's sync agent would make.
func (s *stage) agentKey(key string) {
	id := s.server.AddDataSource(datasource.M{"name": "Keystore", "type": "keystore", "organizationId": s.server.OrganizationID})
	sealed, err := envelope.SealPassphrase(key, fmt.Sprintf("%d-%d", s.server.OrganizationID, id))
	if err != nil {
		log.Fatal(err)
	}
	s.server.AddRows(id, datasource.M{"content": sealed})
}

// A keystore gives the passphrase of all conversations.
func ExampleNewKeystore() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	s.agentKey("0123456789abcdefghijABCDEFGHIJxy")
	keys, err := chat.NewKeystore(s.server.Client(), chat.KeystoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	opts := s.options()
	opts.Keys = keys
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	m, err := c.Message(ctx, s.talk().ID, chat.Draft{Body: "hello"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Body, m.Err)
	// Output: hello <nil>
}

func ExampleKeystore_Key() {
	s := newStage()
	defer s.close()
	s.agentKey("0123456789abcdefghijABCDEFGHIJxy")
	keys, err := chat.NewKeystore(s.server.Client(), chat.KeystoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	key, err := keys.Key(context.Background(), 1)
	fmt.Println(len(key), err)
	// Output: 32 <nil>
}

func ExampleKeystore_Close() {
	s := newStage()
	defer s.close()
	keys, err := chat.NewKeystore(s.server.Client(), chat.KeystoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	keys.Close()
	_, err = keys.Key(context.Background(), 1)
	fmt.Println(errors.Is(err, chat.ErrClosed))
	// Output: true
}

// A keystore prints without its key, its options without the salt.
func ExampleKeystore_String() {
	s := newStage()
	defer s.close()
	keys, err := chat.NewKeystore(s.server.Client(), chat.KeystoreOptions{Salt: "ssss"})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	fmt.Println(keys)
	// Output: chat.Keystore(redacted)
}

func ExampleKeystoreOptions_Format() {
	text := fmt.Append(nil, chat.KeystoreOptions{DataSourceID: 7, Salt: "ssss"})
	fmt.Println(bytes.Contains(text, []byte("7")), bytes.Contains(text, []byte("ssss")))
	// Output: true false
}

// Each message says what its stored body had.
func ExampleProtection_String() {
	s := newStage()
	defer s.close()
	conv := s.talk("under the conversation's key")
	s.server.AddRows(conv.ID, datasource.M{"body": "typed by another program", "fromUserId": "u-import"})
	messages, err := s.bob.Messages(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range messages {
		fmt.Println(m.Body, "–", m.Protection)
	}
	// Output:
	// under the conversation's key – encrypted
	// typed by another program – none
}

// A key that was replaced on the server is not used before somebody says that this was
// meant.
func ExampleConversation_AcceptKey() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	conv := s.talk("hello")
	_, err := s.server.Client().UpdateDataSource(ctx, conv.ID, datasource.SourcePatch{
		Definition: replaceKey(s.server, conv.ID, "a new key, agreed on by telephone"),
	})
	if err != nil {
		log.Fatal(err)
	}
	if conv, err = s.jane.Conversation(ctx, conv.ID); err != nil {
		log.Fatal(err)
	}
	_, err = s.jane.Message(ctx, conv.ID, chat.Draft{Body: "still here?"})
	fmt.Println(errors.Is(err, chat.ErrKeyChanged))
	if err := conv.AcceptKey(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = s.jane.Message(ctx, conv.ID, chat.Draft{Body: "still here."})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// replaceKey is a conversation's definition with another key, or none for nil.
func replaceKey(server *fliplettest.Server, conversationID int64, key any) json.RawMessage {
	ds, err := server.Client().DataSource(context.Background(), conversationID)
	if err != nil {
		log.Fatal(err)
	}
	var definition map[string]any
	if err := json.Unmarshal(ds.Definition, &definition); err != nil {
		log.Fatal(err)
	}
	if definition["encryptionKey"] = key; key == nil {
		delete(definition, "encryptionKey")
	}
	raw, err := json.Marshal(definition)
	if err != nil {
		log.Fatal(err)
	}
	return raw
}
