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
