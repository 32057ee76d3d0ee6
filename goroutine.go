package chat

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutineID identifies the calling goroutine. Go has no call for it on purpose;
// the one use here is to keep Close, called from inside a stream's function, from
// waiting for that very function, which nothing else can tell.
func goroutineID() uint64 {
	var buf [64]byte
	// "goroutine 123 [running]: …"
	fields := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	if len(fields) < 2 {
		return 0
	}
	id, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return id
}
