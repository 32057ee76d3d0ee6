// Package storm is a network that fails. A [Proxy] speaks TCP between a client and a
// server, knows where requests and answers begin and end, and nothing else about HTTP,
// and does to them what networks, gateways, portals and dying machines do: [Kinds]
// lists it.
//
// What happens to a request follows from the seed and from how many requests came
// before it. The story that is told through it is in the tests of this package:
//
//	go test ./internal/storm -run TestStorm -storm.seed 7 -storm.for 2m
package storm
