// Package datasource is a thin typed client of the Fliplet Data Sources REST API. It knows URLs, JSON, authentication,
// retries and rate limits, and nothing about what the rows mean.
//
//	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("FLIPLET_TOKEN")})
//	…
//	rows, err := client.Find(ctx, 123, datasource.Query{
//		Where: datasource.M{"Email": datasource.M{"$iLike": "jane@example.org"}},
//	})
//
// # Rows
//
// A row is an Entry: columns in Data, everything else in fields. Numbers in Data are json.Number, so that ids and
// amounts stay as they are. Fields that this package does not know are in Extra.
//
// Answers are read tolerantly. A field that is missing, null or of another type is the zero value, and a row that is
// not an object is left out. An answer that is not JSON is an error.
//
// # Writing
//
// The API has defaults that destroy: a commit deletes the rows it does not list, and a bulk import replaces all rows.
// Here the zero value of every option is harmless, and what deletes says so in its name: Delete, DeleteWhere, Replace,
// Commit.Replace, Commit.Overwrite.
//
// # Errors
//
// Arguments are checked before the first request, and the error names the field. Every answer that is not a success
// is an *Error, which errors.Is compares with ErrUnauthorized, ErrForbidden, ErrNotFound, ErrRateLimited and
// ErrAccessDenied. The end of a context is found with errors.Is.
//
// Reads are repeated after network errors and 429, 502, 503 and 504. Writes are repeated only when the server cannot
// have acted on them. When a write failed but may have been applied, Doubtful reports true: look the row up before
// sending it again.
//
// # Time
//
// Every request ends, also without a deadline: a read when no answer begins within 30 s, a write when nothing of its body
// is taken for 30 s or when no answer begins within 30 s of it (and a second more for each 64 KiB, 2 min at most; 10 min
// for Append, Replace, Call and large commits), both when 4 KiB of the answer take more than 15 s or what is read into
// memory more than 2 min. What moves is not cut off, however large it is. Such a failure is Temporary, and matches
// ErrNoAnswer if no answer began; a write that had left is doubtful.
//
// Calls end, too: no attempt begins once those before it have taken 45 s. So a read that nobody answers fails after a
// minute. Waits that a server names, of a minute at most, and waits for the Limiter come on top.
//
// # Rate limits
//
// The API takes 200 requests in 10 seconds. A Limiter holds requests back before the server refuses them. A refused
// request waits until the moment that the server named, measured on the server's own clock, and so do all others of the
// Limiter, if it is a RefusedLimiter: see Window for moments that are far away, and for outages.
//
// # Secrets
//
// The token travels in a header, never in a URL. It goes to the host of the API only and, for downloads of media, to the
// published hosts of the API's installation; a redirect does not carry it elsewhere. Download refuses all other hosts,
// unless Config.FileHosts or Config.AllowFile let it fetch their files with plain requests. Configurations, clients, errors and log lines
// show no token and no key, however they are printed.
package datasource
