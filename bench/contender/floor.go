package contender

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

// floorRow is a message in typed structs, as a hand-made loop would read it.
type floorRow struct {
	ID           int64 `json:"id"`
	DataSourceID int64 `json:"dataSourceId"`
	Data         struct {
		Body           string   `json:"body"`
		FromUserID     string   `json:"fromUserId"`
		ReadBy         []string `json:"readBy"`
		ConversationID int64    `json:"conversationId"`
		GUID           string   `json:"guid"`
		SentTime       string   `json:"sentTime"`
	} `json:"data"`
	CreatedAt time.Time  `json:"createdAt"`
	UpdatedAt time.Time  `json:"updatedAt"`
	DeletedAt *time.Time `json:"deletedAt"`
}

// bareSend is a floor for sends to a service: net/http and encoding/json both ways.
type bareSend struct {
	service, method string
	path            func(n int64) string
	body            func(text string) any
	answer          func() any
}

// bares are the floors of the other services, whose fakes answer sooner, and with fewer
// headers, than the whole Fliplet does.
func bares() []Contender {
	type message struct {
		Type, User, Text, Team, TS, Channel string
		ClientMsgID                         string `json:"client_msg_id"`
	}
	type author struct {
		ID, Username, Avatar string
	}
	list := []bareSend{
		{"slack", http.MethodPost, func(int64) string { return "/api/chat.postMessage" },
			func(text string) any { return map[string]string{"channel": slackChannel, "text": text} },
			func() any {
				return new(struct {
					OK          bool
					Channel, TS string
					Message     message
				})
			}},
		{"discord", http.MethodPost, func(int64) string { return "/channels/" + discordChannel + "/messages" },
			func(text string) any { return map[string]string{"content": text} },
			func() any {
				return new(struct {
					ID, Content, Nonce string
					ChannelID          string `json:"channel_id"`
					Timestamp          time.Time
					Author             author
				})
			}},
		{"matrix", http.MethodPut, func(n int64) string {
			return fmt.Sprintf("/_matrix/client/v3/rooms/%s/send/m.room.message/t%d", matrixRoom, n)
		},
			func(text string) any { return map[string]string{"msgtype": "m.text", "body": text} },
			func() any {
				return new(struct {
					EventID string `json:"event_id"`
				})
			}},
		{"telegram", http.MethodPost, func(int64) string { return "/bot1:fake/sendMessage" },
			func(text string) any { return map[string]any{"chat_id": telegramChat, "text": text} },
			func() any {
				return new(struct {
					OK     bool
					Result struct {
						MessageID int64 `json:"message_id"`
						Date      int64
						Text      string
						From      struct {
							ID        int64
							FirstName string `json:"first_name"`
							Username  string
						}
						Chat struct {
							ID    int64
							Title string
						}
					}
				})
			}},
	}
	out := make([]Contender, len(list))
	for i, b := range list {
		out[i] = Contender{
			Name: "floor of " + b.service, Way: "net/http and encoding/json, by hand", Service: b.service,
			Send: func(ctx context.Context, at fake.Where) (func(string) error, error) {
				f := newFloor(at)
				var n atomic.Int64
				return func(text string) error { return f.do(ctx, b.method, b.path(n.Add(1)), b.body(text), b.answer()) }, nil
			},
		}
	}
	return out
}

type floorClient struct {
	http  *http.Client
	at    fake.Where
	pools sync.Pool
}

func newFloor(at fake.Where) *floorClient {
	return &floorClient{
		at: at, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		pools: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

func (f *floorClient) do(ctx context.Context, method, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, f.at.URL+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Auth-token", f.at.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	buf, _ := f.pools.Get().(*bytes.Buffer)
	defer f.pools.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return json.Unmarshal(buf.Bytes(), into)
}

// floor is the least that net/http and encoding/json can do. It reuses its memory,
// remembers nothing and delivers nothing but the message.
func floor() Contender {
	return Contender{
		Name: "floor", Way: "net/http and encoding/json, by hand", Service: "fliplet",
		Read: func(ctx context.Context, at fake.Where, handle func(int)) error {
			f := newFloor(at)
			defer f.http.CloseIdleConnections()
			where := map[string]any{}
			var page struct {
				Entries []floorRow `json:"entries"`
			}
			for {
				page.Entries = page.Entries[:0]
				err := f.do(ctx, http.MethodPost, "/v1/data-sources/data", map[string]any{
					"flUserToken": at.UserToken, "where": where, "limit": fake.PageSize,
					"order": [][2]string{{"createdAt", "ASC"}, {"id", "ASC"}},
				}, &page)
				if err != nil {
					return err
				}
				for i := range page.Entries {
					handle(fake.Seq(page.Entries[i].Data.Body))
				}
				if len(page.Entries) < fake.PageSize {
					return nil
				}
				last := page.Entries[len(page.Entries)-1]
				t := last.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z")
				where = map[string]any{"$or": []any{
					map[string]any{"createdAt": map[string]any{"$gt": t}},
					map[string]any{"createdAt": t, "id": map[string]any{"$gt": last.ID}},
				}}
			}
		},
		Send: func(ctx context.Context, at fake.Where) (func(string) error, error) {
			f := newFloor(at)
			var n atomic.Int64
			path := fmt.Sprintf("/v1/data-sources/%d/data?flUserToken=%s", at.Conversation, at.UserToken)
			return func(text string) error {
				var row floorRow
				err := f.do(ctx, http.MethodPut, path, map[string]any{
					"body": text, "fromUserId": "u-bob", "readBy": []string{"u-bob"}, "conversationId": at.Conversation,
					"guid": fake.GUID(int(n.Add(1))), "file": []string{},
				}, &row)
				if err == nil && row.ID == 0 {
					err = fmt.Errorf("sent, without an id")
				}
				return err
			}, nil
		},
	}
}
