package chat_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// passing is a gateway that passes requests on and gives its own answers to the first few.
type passing struct {
	w     *world
	mu    sync.Mutex
	left  int                                           // how many requests it still answers itself
	own   func(r *http.Request) (code int, body string) // code 0: nothing, the answer is lost
	wrote int                                           // inserts
}

func (p *passing) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	hit := p.left > 0
	if hit {
		p.left--
		if r.Method == http.MethodPut {
			p.wrote++
		}
	}
	p.mu.Unlock()
	resp, err := p.w.Transport().RoundTrip(r)
	if !hit || err != nil {
		return resp, err
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	code, body := p.own(r)
	if code == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (p *passing) begin(requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = requests
}

// answer is what a gateway says.
type answer struct {
	code int
	body string
}

// doubts plays a gateway that passes the first requests of a send on and refuses them, for
// each status, body, answer to the login after it, and number of requests.
func doubts(t *testing.T, outbox *chat.OutboxOptions, check func(t *testing.T, err error, rows int)) {
	t.Parallel()
	renewals := map[string]answer{
		"a page, 403": {403, proxyPage}, "a page, 401": {401, proxyPage}, "a page, 404": {404, proxyPage}, "JSON, 403": {403, `{"message":"Forbidden"}`}, "JSON, 404": {404, `{"message":"Not found"}`},
		"the service's words": {401, unknownToken}, "a gateway's": {403, gatewayWords[0]}, "the rules": {400, `{"type":"datasource.access"}`},
		"500": {500, ""}, "429": {429, ""}, "nothing": {}, "no rows": {200, `{"entries":[]}`}, "a success without rows": {200, "{}"},
	}
	for _, code := range []int{400, 401, 402, 403, 404, 405, 409, 410, 418, 422, 451, 499} {
		for form, body := range map[string]string{"a page": proxyPage, "JSON": `{"message":"Forbidden"}`, "words of its own": gatewayWords[0], "no words": ""} {
			logins := renewals
			if code != 403 { // there is no login
				logins = map[string]answer{"none": {}}
			}
			for login, said := range logins {
				for _, requests := range []int{1, 2, 3, 5} {
					t.Run(fmt.Sprint(code, ", ", form, ", login: ", login, ", ", requests), func(t *testing.T) {
						inOutbox(t, func(t *testing.T, w *world, conv int64) {
							gate := &passing{w: w}
							gate.own = func(r *http.Request) (int, string) {
								if strings.Contains(r.URL.Path, fmt.Sprint("/", w.contacts, "/")) {
									return said.code, said.body
								}
								return code, body
							}
							jane := w.login("jane", w.through(gate), func(o *chat.Options) {
								o.EncryptMessages, o.Outbox, o.Storage = false, outbox, storage.NewMemory()
							})
							_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "before"})
							require.NoError(t, err)
							gate.begin(requests)
							_, err = jane.Message(t.Context(), conv, chat.Draft{Body: "hello"})
							time.Sleep(10 * time.Minute)
							check(t, err, len(w.Rows(conv))-1)
							gate.mu.Lock()
							defer gate.mu.Unlock()
							assert.Positive(t, gate.wrote)
						})
					})
				}
			}
		}
	}
}

// Whatever the login met that follows a 403, and whatever the look-up did.
func TestAnInsertOfTheOutboxThatWasPassedOnAndRefusedIsLookedUpBeforeItIsMadeAgain(t *testing.T) {
	doubts(t, &chat.OutboxOptions{}, func(t *testing.T, err error, rows int) {
		assert.Equal(t, 1, rows)
		if err != nil { // the look-up was refused three times in a row
			require.ErrorContains(t, err, "it may have been stored, and cannot be looked up")
			assert.True(t, datasource.Doubtful(err))
		}
	})
}

// The login that follows the refusal hangs, and the process ends meanwhile, in its own time or not.
func TestAnInsertThatWasPassedOnAndRefusedIsNotMadeAgainByTheNextProcess(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed ", killed), func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var mu sync.Mutex
				refused := false
				m := &machine{disk: storage.NewMemory(), network: roundTripper(func(r *http.Request) (*http.Response, error) {
					insert := r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/data")
					mu.Lock()
					hang := refused
					refused = refused || insert
					mu.Unlock()
					if hang {
						time.Sleep(20 * time.Second)
						return nil, io.ErrUnexpectedEOF
					}
					resp, err := w.Transport().RoundTrip(r)
					if insert && err == nil {
						assert.NoError(t, resp.Body.Close())
						resp.StatusCode, resp.Body, resp.ContentLength = 403, io.NopCloser(strings.NewReader(proxyPage)), int64(len(proxyPage))
					}
					return resp, err
				})}
				jane := m.boot(w)
				sure(jane.Login(t.Context(), chat.M{"Email": "jane@example.org"}))
				queue(t, jane, conv, "a")
				time.Sleep(2 * time.Second)
				m.dead.Store(killed)
				if !killed {
					require.NoError(t, jane.Close())
				}
				next := w.withOutbox(m.disk)
				queue(t, next, conv, "b")
				require.NoError(t, next.Outbox().Flush(t.Context()))
				time.Sleep(time.Minute)
				assert.Equal(t, []string{"a", "b"}, guids(w, conv))
				require.NoError(t, jane.Close())
			})
		})
	}
}

func TestARefusalThatIsNotTheServicesOwnLeavesASendInDoubt(t *testing.T) {
	doubts(t, nil, func(t *testing.T, err error, rows int) {
		assert.Equal(t, 1, rows)
		if err != nil {
			assert.True(t, datasource.Doubtful(err), "%v", err)
		}
	})
}

// What the service itself refuses, or what says that it was not forwarded, was not stored.
func TestARefusalThatSaysThatNothingWasStoredLeavesNoDoubt(t *testing.T) {
	t.Parallel()
	for _, said := range []answer{
		{400, `{"type":"datasource.access"}`}, {401, unknownToken}, {401, `{"error":"file.access","message":"Not yours."}`},
		{408, proxyPage}, {413, proxyPage}, {414, ""}, {421, ""}, {425, ""}, {429, ""}, {431, proxyPage},
	} {
		t.Run(fmt.Sprint(said.code, said.body), func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				refused := 0
				jane := w.login("jane", w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/data") {
						return w.Transport().RoundTrip(r)
					}
					refused++
					return &http.Response{StatusCode: said.code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(said.body)), Request: r}, nil
				})))
				_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "hello"})
				require.Error(t, err)
				assert.False(t, datasource.Doubtful(err), "%v", err)
				assert.Positive(t, refused)
			})
		})
	}
}

// A look-up is answered with another message, as a cache or a gateway may do that mixes
// answers up.
func TestALookUpThatIsAnsweredWithAnotherMessageIsNoAbsence(t *testing.T) {
	t.Parallel()
	for _, rows := range []string{
		`{"id":1,"data":{"guid":"another","body":"hello"}}`, `{"id":1,"data":{}}`, `{"id":1,"data":{"body":"hello"}}`, `{"id":1}`, `{"id":1,"data":{"guid":null}}`,
		`{"id":1,"data":{"guid":"another"}},{"id":2,"data":{"guid":"g","body":"planted"}}`,
	} {
		for name, outbox := range map[string]*chat.OutboxOptions{"a call": nil, "the outbox": {}} {
			t.Run(name+" "+rows, func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					var mu sync.Mutex
					inserts, lookUps := 0, 0
					jane := w.login("jane", w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
						mu.Lock()
						defer mu.Unlock()
						resp, err := w.Transport().RoundTrip(r)
						switch {
						case err != nil:
						case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/data"):
							inserts++
							assert.NoError(t, resp.Body.Close())
							return nil, io.ErrUnexpectedEOF
						case inserts > 0 && lookUps < 4 && strings.HasSuffix(r.URL.Path, fmt.Sprint("/", conv, "/data/query")):
							lookUps++
							assert.NoError(t, resp.Body.Close())
							body := `{"entries":[` + rows + "]}"
							return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
						}
						return resp, err
					})), func(o *chat.Options) { o.EncryptMessages, o.Outbox, o.Storage = false, outbox, storage.NewMemory() })
					m, err := jane.Message(t.Context(), conv, chat.Draft{Body: "hello", GUID: "g"})
					for ; outbox == nil && err != nil; m, err = jane.Message(t.Context(), conv, chat.Draft{Body: "hello", GUID: "g"}) {
						time.Sleep(10 * time.Second)
					}
					mu.Lock()
					defer mu.Unlock()
					require.NoError(t, err)
					assert.Equal(t, "g", m.GUID)
					assert.Len(t, w.Rows(conv), 1)
					assert.Equal(t, 1, inserts)
					assert.Equal(t, 4, lookUps)
				})
			})
		}
	}
}

// scripted answers inserts with what is in the list, after they were stored.
func (w *world) scripted(inserts []answer, other func(*http.Request) (answer, bool)) func(*chat.Options) {
	var mu sync.Mutex
	began := false
	return w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		said, ok := answer{}, false
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/data") && len(inserts) > 0 {
			said, ok, began, inserts = inserts[0], true, true, inserts[1:]
		} else if began {
			said, ok = other(r)
		}
		resp, err := w.Transport().RoundTrip(r)
		if !ok || err != nil {
			return resp, err
		}
		return &http.Response{StatusCode: said.code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(said.body)), Request: r}, resp.Body.Close()
	}))
}

// The list of conversations lacks the one of the message as well.
func TestANotFoundOfAGatewayThatPassedTheInsertOnIsLookedUpBeforeTheListIsBelieved(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		userID := ""
		gateway := w.scripted([]answer{{404, proxyPage}}, func(r *http.Request) (answer, bool) {
			return answer{200, fmt.Sprintf(`{"dataSources":[{"id":9999,"name":"x","type":"conversation","definition":{"participants":[%q]}}]}`, userID)}, strings.HasSuffix(r.URL.Path, "/data-sources")
		})
		jane := w.login("jane", gateway, func(o *chat.Options) { o.EncryptMessages, o.Outbox = false, &chat.OutboxOptions{} })
		userID = jane.User().UserID
		_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "hello"})
		require.NoError(t, err)
		assert.Len(t, w.Rows(conv), 1)
	})
}

// The first insert was stored and is not visible yet; the second is refused by the service.
func TestARefusalOfTheSecondInsertSaysNothingOfTheFirst(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		refusal := answer{403, `{"error":"forbidden","message":"Not yours."}`}
		jane := w.login("jane", w.scripted([]answer{{403, proxyPage}, refusal, refusal}, func(r *http.Request) (answer, bool) {
			return answer{200, `{"entries":[]}`}, strings.HasSuffix(r.URL.Path, fmt.Sprint("/", conv, "/data/query"))
		}))
		_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "hello"})
		require.Error(t, err)
		assert.True(t, datasource.Doubtful(err), "%v", err)
	})
}
