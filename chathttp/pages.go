package chathttp

import "net/http"

// policy is what pages of a chat need: everything from their own origin, and pictures that
// were dropped or pasted.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " +
	"font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-src 'self'; frame-ancestors 'self'"

// Secure serves the pages of one's own front end with a strict Content-Security-Policy:
// scripts, styles, requests and frames of its own origin only, nothing inline, and no frame
// of another origin around it. A page can write to nobody else, whatever a message makes it do.
// A handler may set the header itself, to something else.
//
//	http.Handle("/", chathttp.Secure(http.FileServerFS(pages)))
func Secure(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}
