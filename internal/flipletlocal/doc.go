// Package flipletlocal is the local Fliplet as a program: the server of internal/flipletd
// with flags, a file, and a page for people. cmd/fliplet-local and flchat run it.
package flipletlocal
