// Package browser tests the pages of webchat in a real browser. It is a module of its own,
// since nobody who runs webchat needs what drives the browser.
package browser
