package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	if raw := os.Getenv(childEnv); raw != "" {
		if err := child(raw); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for _, w := range works(len(os.Args) > 1) {
		t, err := race(context.Background(), w, 1, os.Stderr)
		fmt.Println(err)
		for _, r := range t.Rows {
			fmt.Printf("%s %.2f %.2f allocs %.1f bytes %.0f peak %.1f wire %d\n", r.Name, median(r.CPU), median(r.Wall), r.Allocs, r.Bytes, r.PeakMB, r.Wire)
		}
	}
}
