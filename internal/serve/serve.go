// Package serve answers HTTP requests for files that somebody else stores and that arrive
// as streams: with ranges, revalidation, and without anything that a browser would run.
package serve

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// File is what a request asked for.
type File struct {
	// Tag names the content: other content has another one.
	Tag string
	// Name is the file's name for whoever saves it.
	Name string
	// Type is its media type; "" looks at the content.
	Type string
	// Fetch writes the file to w. It calls progress after each write, on its own
	// goroutine, with the size, or -1.
	Fetch func(ctx context.Context, w io.Writer, progress func(got, total int64)) error
	// Status is what an error of Fetch is answered with.
	Status func(error) int
	// Failed is told of it.
	Failed func(error)
}

// Serve answers a GET or HEAD. It holds no more than a few chunks of the file, and has
// ended with Fetch when it returns.
func Serve(w http.ResponseWriter, r *http.Request, f File) {
	if !Allowed(w, r) {
		return
	}
	header := w.Header()
	header.Set("ETag", `"`+f.Tag+`"`)
	// A page asks each time, which costs no download, so that who may no longer see a
	// file does not see it from the cache.
	header.Set("Cache-Control", "private, no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	if fresh(r, f.Tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s := start(r.Context(), f.Fetch)
	defer s.stop()
	first, err := s.open()
	if err != nil {
		Refuse(w, f.Status(err))
		f.Failed(err)
		return
	}
	describe(header, f, first)
	if s.size < 0 { // nobody can say where a range would be
		header.Set("Accept-Ranges", "none")
		w.WriteHeader(http.StatusOK)
		if r.Method != http.MethodHead {
			_, _ = io.Copy(w, s)
		}
	} else {
		if strings.Contains(r.Header.Get("Range"), ",") { // several ranges may go back
			r = r.Clone(r.Context())
			r.Header.Del("Range")
		}
		http.ServeContent(w, r, "", time.Time{}, s)
	}
	if s.failed != nil && r.Context().Err() == nil {
		f.Failed(s.failed)
		if r.Context().Value(http.ServerContextKey) != nil {
			panic(http.ErrAbortHandler) // a part must not look like the whole
		}
	}
}

// Allowed refuses all methods but GET and HEAD.
func Allowed(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	Refuse(w, http.StatusMethodNotAllowed)
	return false
}

// Refuse answers with a status and no more than its text.
func Refuse(w http.ResponseWriter, status int) {
	w.Header().Del("ETag")
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

// fresh reports whether a browser has the file. Everything else about conditions is
// left to [http.ServeContent], since it needs the file.
func fresh(r *http.Request, tag string) bool {
	for known := range strings.SplitSeq(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		if known = strings.TrimSpace(known); known == "*" || strings.TrimPrefix(known, "W/") == `"`+tag+`"` {
			return true
		}
	}
	return false
}

// shown are the types that a browser may show: it runs nothing in them. Those with false
// keep their type and are saved.
var shown = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/bmp": true, "image/avif": true,
	"image/heic": true, "audio/mpeg": true, "audio/mp4": true, "audio/wav": true, "audio/wave": true, "audio/ogg": true, "audio/aac": true,
	"audio/webm": true, "video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true, "text/plain": true,
	"application/pdf": false,
}

// describe sets the headers about the content. Its type may have been chosen by whoever
// wants to run a script in the page's origin, so a type that is not known to be passive
// becomes one that nothing loads.
func describe(header http.Header, f File, first []byte) {
	kind := f.Type
	if kind == "" {
		kind = http.DetectContentType(first)
	}
	base, params, err := mime.ParseMediaType(kind)
	inline, known := shown[base]
	switch {
	case err != nil || !known:
		kind = "application/octet-stream"
	case base == "text/plain":
		charset := params["charset"]
		if charset == "" {
			charset = "utf-8"
		}
		kind = mime.FormatMediaType(base, map[string]string{"charset": charset})
	default:
		kind = base
	}
	how := "attachment"
	if inline {
		how = "inline"
	}
	if named := mime.FormatMediaType(how, map[string]string{"filename": f.Name}); f.Name != "" && named != "" {
		how = named
	}
	header.Set("Content-Type", kind)
	header.Set("Content-Disposition", how)
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

var errStopped = errors.New("the request has ended")
