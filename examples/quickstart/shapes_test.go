package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// What Fliplet has not published is assumed in one way or another. The story has to
// hold whichever way it is.
func TestStoryHoldsWhateverTheServerLooksLike(t *testing.T) {
	t.Parallel()
	for name, lever := range map[string]func(*fliplettest.Server){
		"no cross-source query":  func(s *fliplettest.Server) { s.Always(fliplettest.CrossSource, fliplettest.Status(404)) },
		"parameters are ignored": func(s *fliplettest.Server) { s.Always(fliplettest.AnyRead, fliplettest.Ignore("order", "limit")) },
		"filters are ignored": func(s *fliplettest.Server) {
			s.Always(fliplettest.ListSources, fliplettest.Ignore("definition", "type"))
		},
		"rows in any order, twice": func(s *fliplettest.Server) {
			s.Always(fliplettest.AnyRead, fliplettest.Shuffle(), fliplettest.DuplicateRow())
		},
		"ids are texts":           func(s *fliplettest.Server) { s.Always(fliplettest.AnyRoute, fliplettest.IDsAsStrings()) },
		"deletedAt is left out":   func(s *fliplettest.Server) { s.Always(fliplettest.AnyRoute, fliplettest.OmitDeletedAt()) },
		"tombstones keep columns": func(s *fliplettest.Server) { s.Always(fliplettest.AnyRoute, fliplettest.KeepTombstoneData()) },
		"unknown fields":          func(s *fliplettest.Server) { s.Always(fliplettest.AnyRoute, fliplettest.UnknownFields()) },
		"another count":           func(s *fliplettest.Server) { s.Always(fliplettest.CrossSource, fliplettest.CountAsRows()) },
		"wrapped entries":         func(s *fliplettest.Server) { s.Always(fliplettest.AnyRoute, fliplettest.WrapEntry()) },
		"one timestamp":           func(s *fliplettest.Server) { s.FreezeClock() },
		"a clock that is wrong":   func(s *fliplettest.Server) { s.ShiftClock(-48 * time.Hour) },
		"reads fail now and then": func(s *fliplettest.Server) { s.Sometimes(0.03, fliplettest.AnyRead, fliplettest.Status(503)) },
		"answers get lost":        func(s *fliplettest.Server) { s.Sometimes(0.3, fliplettest.Insert, fliplettest.LoseAnswer()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				require.NoError(t, run(t.Context(), &out, offline(pull(lever))), out.String())
				requireOK(t, out.String())
			})
		})
	}
}
