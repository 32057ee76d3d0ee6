// Package fliplettest runs a local Fliplet for tests. What httptest is to
// net/http, this is to chats and data sources.
package fliplettest
