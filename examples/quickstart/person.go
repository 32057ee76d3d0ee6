package main

import (
	"sync"

	chat "github.com/fliplet/fliplet-chat-go"
)

// person is somebody who chats, and remembers what their stream delivered.
type person struct {
	name      string
	contactID int64
	chat      *chat.Chat

	mu    sync.Mutex
	inbox []*chat.Message
}

// receive is the person's stream function.
func (p *person) receive(m *chat.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inbox = append(p.inbox, m)
}

func (p *person) userID() string { return p.chat.User().UserID }

// all is everything the stream delivered, in order.
func (p *person) all() []*chat.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*chat.Message(nil), p.inbox...)
}

// latest is the newest version of a message that came, nil if none did.
func (p *person) latest(id int64) (found *chat.Message) {
	for _, m := range p.all() {
		if m.ID == id {
			found = m
		}
	}
	return found
}

// arrivals is how often a message came as a new one.
func (p *person) arrivals(id int64) (n int) {
	for _, m := range p.all() {
		if m.ID == id && !m.IsUpdate && !m.IsDeleted {
			n++
		}
	}
	return n
}

// distinct is how many messages came.
func (p *person) distinct() int {
	ids := map[int64]bool{}
	for _, m := range p.all() {
		ids[m.ID] = true
	}
	return len(ids)
}
