package chathttp

import (
	"maps"
	"slices"
)

// Methods are the names of all calls.
func Methods() []string { return slices.Sorted(maps.Keys(methods)) }
