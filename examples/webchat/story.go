package main

import (
	"context"
	"fmt"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// story is what people have said before the page is opened.
func (t *teller) story(ctx context.Context) {
	t.pair(ctx)
	t.lake(ctx)
	t.news(ctx)
	review := t.begin(ctx, 50*time.Hour, "mia", chat.NewConversation{Name: "Design review", Group: chat.M{"name": "Design review", "public": false}, AllowInvite: true}, "jane", "lena")
	t.say(ctx, review, 49*time.Hour, "mia", text("The new onboarding is in the prototype."), "jane", "lena")
	t.say(ctx, review, 48*time.Hour, "lena", text("I like the second screen most."), "jane", "mia")
	t.say(ctx, review, 26*time.Hour, "jane", text("I will move the button up, then we ship it."), "mia", "lena")

	ravi := t.begin(ctx, 30*time.Hour, "ravi", chat.NewConversation{}, "jane")
	t.say(ctx, ravi, 29*time.Hour, "ravi", text("Can you look at ticket 4711 when you have a minute?"), "jane")
	t.say(ctx, ravi, 28*time.Hour, "jane", text("Done, it was the cache."), "ravi")
	t.say(ctx, ravi, 27*time.Hour, "ravi", text("You are quick. Thanks 🙏"), "jane")

	lena := t.begin(ctx, 9*time.Hour, "lena", chat.NewConversation{}, "bob")
	t.say(ctx, lena, 8*time.Hour, "lena", text("The backup ran through, 14 minutes."), "bob")
	t.say(ctx, lena, 7*time.Hour, "bob", text("Half of last week. Good."), "lena")
}

func text(body string) chat.Draft { return chat.Draft{Body: body} }

// pair is what Jane and Bob have said: enough to scroll through.
func (t *teller) pair(ctx context.Context) {
	conv := t.begin(ctx, 200*time.Hour, "jane", chat.NewConversation{}, "bob")
	small := []string{
		"Morning!", "Morning. Coffee?", "In five minutes.", "The build is green again.", "What was it?", "A test that waited for a clock.",
		"Ha. Virtual time, then.", "Already done.", "Lunch at one?", "One it is.", "Could you review my branch?", "On it.", "Two remarks, both small.", "Fixed both.", "Merged 🎉",
		"Who is on call this week?", "Lena, and then you.", "The demo went well.", "They asked for dark mode.", "We have dark mode.", "I told them 😄",
	}
	ago := 150 * time.Hour
	t.imported(conv, ago+10*time.Hour, small)
	for i := range 90 {
		as, other := "jane", "bob"
		if i%2 == 1 {
			as, other = other, as
		}
		t.say(ctx, conv, ago, as, text(small[i%len(small)]), other)
		ago -= time.Duration(40+i%7*13) * time.Minute
	}
	t.say(ctx, conv, 52*time.Minute, "bob", text("How far is the chat page?"), "jane")
	t.say(ctx, conv, 50*time.Minute, "jane", text("It works in the browser now: messages, pictures, read marks."), "bob")
	t.say(ctx, conv, 49*time.Minute, "jane", text("And it survives a bad network. Open the drawer and pull the sliders."), "bob")
	edited := t.say(ctx, conv, 47*time.Minute, "bob", text("Nice. The demo is on Thrusday, right?"), "jane")
	if t.err == nil {
		t.server.FreezeClockAt(t.now.Add(-46 * time.Minute))
		_, t.err = t.chats["bob"].UpdateMessage(ctx, conv, edited.ID, chat.M{"body": "Nice. The demo is on Thursday, right?", "isEdited": true})
	}
	t.say(ctx, conv, 44*time.Minute, "jane", text("Thursday at ten. I will bring the slides 🙂"), "bob")
	gone := t.say(ctx, conv, 43*time.Minute, "bob", text("Wrong window, sorry"), "jane")
	if t.err == nil {
		t.server.FreezeClockAt(t.now.Add(-42 * time.Minute))
		t.err = t.chats["bob"].DeleteMessage(ctx, conv, gone.ID)
	}
	t.say(ctx, conv, 12*time.Minute, "bob", text("I killed the server twice while typing this."), "jane")
	t.say(ctx, conv, 11*time.Minute, "bob", text("Nothing lost, nothing twice."), "jane")
	t.say(ctx, conv, 9*time.Minute, "jane", text("👏"), "bob")
	t.say(ctx, conv, 6*time.Minute, "jane", text("Then let us show it."))
}

// imported is what was brought from another chat, all at one moment.
func (t *teller) imported(conv int64, ago time.Duration, small []string) {
	if t.err != nil {
		return
	}
	jane, bob := t.chats["jane"].User().UserID, t.chats["bob"].User().UserID
	var rows []datasource.M
	for i := range 180 {
		rows = append(rows, datasource.M{
			"body": fmt.Sprintf("%s (%d, from the old chat)", small[i%len(small)], i+1), "fromUserId": []string{jane, bob}[i%2],
			"guid": fmt.Sprintf("00000000-0000-4000-8000-%012d", i), "readBy": []any{jane, bob}, "conversationId": conv,
		})
	}
	t.server.FreezeClockAt(t.now.Add(-ago))
	t.server.AddRows(conv, rows...)
}

// lake is a group with a picture and the bot.
func (t *teller) lake(ctx context.Context) {
	name := "Trip to the lake"
	conv := t.begin(ctx, 20*time.Hour, "mia", chat.NewConversation{Name: name, Group: chat.M{"name": name, "public": false}, AllowInvite: true}, "jane", "bob", "ravi", "robo")
	all := []string{"jane", "bob", "mia", "ravi"}
	others := func(as string) (out []string) {
		for _, one := range all {
			if one != as {
				out = append(out, one)
			}
		}
		return out
	}
	for i, line := range [][2]string{
		{"mia", "Who brings what on Saturday?"},
		{"ravi", "I bring the tents. Two of them, one is small."},
		{"ravi", "And the stove"},
		{"jane", "Bread, cheese, tea"},
		{"bob", "The boat!"},
		{"jane", "How many litres of water are 4 people × 3 days? /sum does not multiply, but"},
		{"jane", "/sum 12 12 12"},
		{"robo", "That is 36"},
		{"bob", "😂"},
	} {
		t.say(ctx, conv, 100*time.Minute-time.Duration(i)*4*time.Minute, line[0], text(line[1]), others(line[0])...)
	}
	t.say(ctx, conv, 30*time.Minute, "mia", chat.Draft{
		Body: "This is where we camp.", Files: []chat.File{{Name: "lake.png", Content: lakePicture(640, 400)}},
		Data: chat.M{"fileInfo": []any{chat.M{"name": "lake.png", "type": "image/png", "width": 640, "height": 400}}},
	}, others("mia")...)
	t.say(ctx, conv, 28*time.Minute, "ravi", text("Looks like a postcard"), "jane", "mia")
	t.say(ctx, conv, 4*time.Minute, "mia", text("The train leaves at 8:12 from platform 4, so let us meet at eight under the clock."))
	t.say(ctx, conv, 3*time.Minute, "ravi", text("I am there ☕"))
}

// news is a channel, beside one that nobody of the two has joined.
func (t *teller) news(ctx context.Context) {
	conv := t.channel(ctx, 70*time.Hour, "News", "lena", "jane", "bob", "mia", "ravi")
	for i, line := range []string{
		"The canteen opens at eight tomorrow.", "There is a new coffee machine on the second floor.", "Please bring your bikes into the yard by Friday.",
	} {
		t.say(ctx, conv, time.Duration(60-20*i)*time.Hour, "lena", text(line), "jane", "bob", "mia")
	}
	t.say(ctx, conv, 5*time.Hour, "lena", text(fmt.Sprintf("Release %s is out. Thank you all ✨", "4.2")), "jane")
	t.channel(ctx, 71*time.Hour, "Running", "mia", "ravi")
}
