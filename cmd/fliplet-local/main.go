package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/fliplet/fliplet-chat-go/internal/flipletlocal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(flipletlocal.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
