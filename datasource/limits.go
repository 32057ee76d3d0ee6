package datasource

import "time"

// LongestWait is the longest that a server can make a Client wait with one answer, whatever it says: a Retry-After of
// years, a nextValidRequestDate in the year 9999. Error.RetryAfter is never more, and the streams, sends and outbox of
// package chat, which wait for that long and up to a quarter more, obey the same limit.
const LongestWait = time.Minute

// What an answer may take. An attempt that takes longer fails like one whose connection broke: reads are tried again,
// writes are doubtful. What arrives steadily is never cut off before slowestBody.
const (
	// firstByte is how long a read waits for the beginning of the answer, once the request has left. A write may take
	// as long as it needs: a bulk import can be minutes of work for the server.
	firstByte = 90 * time.Second
	// In every paceWindow at least paceBytes of the body have to arrive, or its end.
	paceWindow = 15 * time.Second
	paceBytes  = 4 << 10
	// slowestBody is when a body that is read into memory has to be complete, however steadily it arrives. Downloads,
	// which are written as they come, have no such limit.
	slowestBody = 2 * time.Minute
)
