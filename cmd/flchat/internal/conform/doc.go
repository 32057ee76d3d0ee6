// Package conform asks an account of Fliplet whether it behaves as the SDK assumes. Each
// probe is one fact of docs/protocol.md. All writes go to data sources and files that a run
// has made itself, which a journal knows before they exist.
package conform
