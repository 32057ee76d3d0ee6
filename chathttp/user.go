package chathttp

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// user is what the handler knows of one Chat.
type user struct {
	chat *chat.Chat
	used time.Time // guarded by Handler.mu

	mu       sync.Mutex
	tokens   float64
	running  int // calls
	filled   time.Time
	sessions map[string]*session
	sends    map[string]*sending
	files    map[[2]int64]withFiles // by conversation and message
	stopped  bool
}

// withFiles is a message whose files a page may ask for soon.
type withFiles struct {
	m     *chat.Message // without its text
	until time.Time
}

const (
	// filesFor is how long a message with files is not read again. Whether the user is in
	// its conversation is asked each time.
	filesFor = time.Minute
	// mostWithFiles bounds how many are kept.
	mostWithFiles = 1000
)

// sealing are the columns of a message that its files need.
var sealing = []string{"guid", "fromUserId", "hasMediaFileWithPrivateEncryptionKey", "flSealedFiles"}

// keepFiles remembers a message with files, and forgets one that has none any more.
func (u *user) keepFiles(m *chat.Message) {
	key := [2]int64{m.ConversationID, m.ID}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(m.Files) == 0 || m.IsDeleted || m.ID == 0 {
		delete(u.files, key)
		return
	}
	slim := &chat.Message{
		ID: m.ID, ConversationID: m.ConversationID, GUID: m.GUID, FromUserID: m.FromUserID,
		Files: slices.Clone(m.Files), Err: m.Err, Protection: m.Protection, Data: chat.M{},
	}
	for _, column := range sealing {
		if v, ok := m.Data[column]; ok {
			slim.Data[column] = v
		}
	}
	if u.files == nil || len(u.files) >= mostWithFiles {
		u.files = map[[2]int64]withFiles{}
	}
	u.files[key] = withFiles{slim, time.Now().Add(filesFor)}
}

// keptFiles is such a message, nil if there is none.
func (u *user) keptFiles(conversation, message int64) *chat.Message {
	u.mu.Lock()
	defer u.mu.Unlock()
	if kept, ok := u.files[[2]int64{conversation, message}]; ok && time.Now().Before(kept.until) {
		return kept.m
	}
	return nil
}

func newUser(c *chat.Chat) *user {
	return &user{chat: c, tokens: math.Inf(1), sessions: map[string]*session{}, sends: map[string]*sending{}}
}

func (u *user) idle() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.sessions) == 0 && u.running == 0
}

// allow takes one of n requests per 10 s.
func (u *user) allow(n int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	rate := float64(n) / 10
	u.tokens = min(float64(n), u.tokens+now.Sub(u.filled).Seconds()*rate)
	u.filled = now
	if u.tokens < 1 {
		wait := int(math.Ceil((1 - u.tokens) / rate))
		return &failure{status: http.StatusTooManyRequests, text: fmt.Sprintf("too many requests; try again in %d s", wait), retry: wait}
	}
	u.tokens--
	return nil
}

// mostCalls is how many calls of one Chat are served at the same time.
const mostCalls = 32

// enter begins a call.
func (u *user) enter() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.running >= mostCalls {
		return &failure{status: http.StatusTooManyRequests, text: "too many calls at once", retry: 1}
	}
	u.running++
	return nil
}

func (u *user) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.running--
}

// stop ends all streams.
func (u *user) stop(cause error) {
	u.mu.Lock()
	u.stopped = true
	sessions := u.sessions
	u.sessions = map[string]*session{}
	u.mu.Unlock()
	for _, s := range sessions {
		s.stop(cause)
	}
}

// sending is a send under way.
type sending struct {
	done chan struct{}
	m    *chat.Message
	err  error
}
