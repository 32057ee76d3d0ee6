// Package fake has small fakes of the chat services that libraries are measured
// against. Each has one conversation, whose messages have numbers from 1. The text of a
// message ends with its number, so that whoever receives it can tell whether it is the
// next one. The fakes do what their services document about positions: what is sent
// again, and what is gone.
package fake
