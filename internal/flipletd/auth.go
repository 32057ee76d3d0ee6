package flipletd

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// presentedToken finds the token of a request. Documented: the Auth-token
// header, Authorization: Bearer with the token in base64, auth_token in the
// query or in a cookie. Which one wins is not; this is the order here. A
// Bearer value that is the raw token is taken too: public clients send it.
func presentedToken(r *http.Request, query map[string][]string) string {
	if t := headerToken(r); t != "" {
		return t
	}
	if t := query["auth_token"]; len(t) > 0 && t[0] != "" {
		return t[0]
	}
	if cookie, err := r.Cookie("auth_token"); err == nil {
		return cookie.Value
	}
	return ""
}

// headerToken is the token of a header, "" if there is none.
func headerToken(r *http.Request) string {
	if t := r.Header.Get("Auth-Token"); t != "" {
		return t
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return bearer(strings.TrimSpace(value))
	}
	return ""
}

func bearer(value string) string {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := enc.DecodeString(value); err == nil && strings.Contains(string(raw), "--") {
			return string(raw)
		}
	}
	return value
}
