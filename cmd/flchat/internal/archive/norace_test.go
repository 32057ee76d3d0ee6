//go:build !race

package archive_test

const race = false
