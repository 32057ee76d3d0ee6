// Command flchat looks into the chats of a Fliplet app, sends, and checks whether
// everything is in order.
//
//	flchat doctor
//	flchat tail
//	flchat send -c 123 Hello team!
//
// People see names, colours and local times. Pipes get one JSON object a line. The exit
// status is 0 when all went well, 2 when something that was given cannot be used, 3 when
// the network or the service failed, and 1 for everything else. See docs/flchat.md.
package main
