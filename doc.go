// Package chat is Fliplet.Chat for Go.
package chat
