package datasource_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

var sentinels = []error{datasource.ErrUnauthorized, datasource.ErrForbidden, datasource.ErrNotFound, datasource.ErrRateLimited, datasource.ErrAccessDenied}

func TestEveryDocumentedErrorBodyIsUnderstood(t *testing.T) {
	t.Parallel()
	const denied = `The security rules for the Data Source "Employees" do not allow this app to read data.`
	for name, c := range map[string]struct {
		status  int
		body    string
		want    datasource.Error
		matches error
	}{
		"denied": {400, `{"message":"The security rules for the Data Source \"Employees\" do not allow this app to read data.","type":"datasource.access","payload":{"dataSourceId":123}}`,
			datasource.Error{Message: denied, Type: "datasource.access", Payload: json.RawMessage(`{"dataSourceId":123}`)}, datasource.ErrAccessDenied},
		"denied with 401":   {401, `{"message":"no","type":"datasource.access"}`, datasource.Error{Message: "no", Type: "datasource.access"}, datasource.ErrAccessDenied},
		"malformed":         {400, `{"message":"limit is negative"}`, datasource.Error{Message: "limit is negative"}, nil},
		"unknown token":     {401, `{"error":"not authorised","message":"The auth_token provided doesn't belong to any user."}`, datasource.Error{Code: "not authorised", Message: "The auth_token provided doesn't belong to any user."}, datasource.ErrUnauthorized},
		"file":              {401, `{"error":"file.access","message":"You do not have permission to access this file"}`, datasource.Error{Code: "file.access", Message: "You do not have permission to access this file"}, datasource.ErrAccessDenied},
		"dead chat token":   {403, `{"error":"forbidden","message":"The flUserToken provided is not valid."}`, datasource.Error{Code: "forbidden", Message: "The flUserToken provided is not valid."}, datasource.ErrForbidden},
		"403 of any body":   {403, ``, datasource.Error{Message: "Forbidden"}, datasource.ErrForbidden},
		"missing":           {404, `{"message":"Data source not found"}`, datasource.Error{Message: "Data source not found"}, datasource.ErrNotFound},
		"upload refused":    {422, `{"message":"The file extension is not allowed"}`, datasource.Error{Message: "The file extension is not allowed"}, nil},
		"rate limit":        {429, `{"message":"You've made too many attempts …","referenceUrl":"https://developers.fliplet.com/Rate-limiting-for-API.html","nextValidRequestDate":"2026-02-01T08:10:05.000Z"}`, datasource.Error{Message: "You've made too many attempts …", ReferenceURL: "https://developers.fliplet.com/Rate-limiting-for-API.html", RetryAt: ms("2026-02-01T08:10:05.000Z")}, datasource.ErrRateLimited},
		"nested":            {429, `{"error":{"code":429,"message":"Try later"}}`, datasource.Error{Code: "429", Message: "Try later"}, datasource.ErrRateLimited},
		"nested deeper":     {500, `{"responseJSON":{"error":{"error":{"message":"deep","type":"t","payload":[1]}}}}`, datasource.Error{Message: "deep", Type: "t", Payload: json.RawMessage("[1]")}, nil},
		"outside wins":      {500, `{"error":{"message":"inner","code":"c"},"message":"outer"}`, datasource.Error{Message: "outer", Code: "c"}, nil},
		"error_message":     {500, `{"error_message":"m"}`, datasource.Error{Message: "m"}, nil},
		"description":       {500, `{"description":"m","error":"e"}`, datasource.Error{Message: "m", Code: "e"}, nil},
		"error alone":       {500, `{"error":"e"}`, datasource.Error{Message: "e", Code: "e"}, nil},
		"a string":          {500, `"broken"`, datasource.Error{Message: "broken"}, nil},
		"plain text":        {500, "no such\nthing\n", datasource.Error{Message: "no such thing"}, nil},
		"html":              {502, `<html><body>Bad gateway at 10.0.0.7</body></html>`, datasource.Error{Message: "Bad Gateway"}, nil},
		"half an object":    {500, `{"message":"cut off`, datasource.Error{Message: "Internal Server Error"}, nil},
		"an array":          {500, `[{"message":"m"}]`, datasource.Error{Message: "Internal Server Error"}, nil},
		"wrong types":       {500, `{"message":{"a":1},"type":[],"error":null,"payload":null,"code":true,"nextValidRequestDate":7,"referenceUrl":{}}`, datasource.Error{Message: "Internal Server Error"}, nil},
		"an unknown status": {499, ``, datasource.Error{}, nil},
	} {
		server := serve(t, answer(c.status, c.body))
		_, err := server.client(t, func(cfg *datasource.Config) { cfg.Retry.MaxAttempts = 1 }).Find(t.Context(), 123, datasource.Query{})
		got, ok := errors.AsType[*datasource.Error](err)
		require.True(t, ok, "%s: %v", name, err)
		assert.Equal(t, c.status, got.StatusCode, name)
		assert.Equal(t, []any{c.want.Type, c.want.Code, c.want.Message, string(c.want.Payload), c.want.RetryAt, c.want.ReferenceURL},
			[]any{got.Type, got.Code, got.Message, string(got.Payload), got.RetryAt, got.ReferenceURL}, name)
		for _, s := range sentinels {
			assert.Equal(t, s == c.matches, errors.Is(err, s), "%s %v", name, s)
		}
		assert.Contains(t, err.Error(), fmt.Sprintf("datasource: POST v1/data-sources/123/data/query: HTTP %d", c.status), name)
		assert.Contains(t, err.Error(), c.want.Message, name)
		if len(c.want.Payload) > 0 {
			assert.NotContains(t, err.Error(), string(c.want.Payload), name)
		}
	}
}

func TestEveryOperationReportsARefusal(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		server := serve(t, answer(400, `{"message":"no","type":"datasource.access"}`))
		err := op.run(t.Context(), server.client(t))
		require.ErrorIs(t, err, datasource.ErrAccessDenied, op.name)
		assert.False(t, datasource.Doubtful(err), op.name)
		assert.Len(t, server.seen(), 1, op.name)
	}
}

func TestALongMessageIsCutAndStaysOnOneLine(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(400, `{"message":"`+strings.Repeat(`é\n\u0000`, 5000)+`"}`))
	_, err := server.client(t).Find(t.Context(), 1, datasource.Query{})
	assert.Less(t, len(err.Error()), 1200)
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "\x00")
	assert.NotContains(t, err.Error(), "\ufffd")
}

func TestTheWaitIsMeasuredOnTheServersClock(t *testing.T) {
	t.Parallel()
	const date, date0 = "Tue, 15 Feb 2022 17:13:22 GMT", "2022-02-15T17:13:22.000Z"
	for name, c := range map[string]struct {
		header []string
		body   string
		at     string
		after  time.Duration
	}{
		"date in the body":     {[]string{"Date", date}, `{"nextValidRequestDate":"2022-02-15T17:13:32.363Z"}`, "2022-02-15T17:13:32.363Z", 10363 * time.Millisecond},
		"seconds":              {[]string{"Date", date, "Retry-After", "7"}, `{"nextValidRequestDate":"2022-02-15T17:13:32.363Z"}`, "2022-02-15T17:13:29.000Z", 7 * time.Second},
		"date in the header":   {[]string{"Date", date, "Retry-After", "Tue, 15 Feb 2022 17:14:22 GMT"}, ``, "2022-02-15T17:14:22.000Z", time.Minute},
		"nonsense falls back":  {[]string{"Date", date, "Retry-After", "soon"}, `{"nextValidRequestDate":"2022-02-15T17:13:32.363Z"}`, "2022-02-15T17:13:32.363Z", 10363 * time.Millisecond},
		"inside error":         {[]string{"Date", date}, `{"error":{"nextValidRequestDate":"2022-02-15T17:13:32.363Z"}}`, "2022-02-15T17:13:32.363Z", 10363 * time.Millisecond},
		"passed already":       {[]string{"Date", date}, `{"nextValidRequestDate":"2022-02-15T17:13:12.363Z"}`, "2022-02-15T17:13:12.363Z", 0},
		"neither":              {[]string{"Date", date}, `{}`, "", 0},
		"68 years":             {[]string{"Date", date, "Retry-After", "2147483647"}, ``, "2022-02-15T17:14:22.000Z", time.Minute},
		"more than 31 bits":    {[]string{"Date", date, "Retry-After", "2147483648"}, ``, "2022-02-15T17:14:22.000Z", time.Minute},
		"more than 64 bits":    {[]string{"Date", date, "Retry-After", "99999999999999999999999"}, ``, "2022-02-15T17:14:22.000Z", time.Minute},
		"the year 9999":        {[]string{"Date", date}, `{"nextValidRequestDate":"9999-12-31T23:59:59.999Z"}`, "2022-02-15T17:14:22.000Z", time.Minute},
		"9999 in the header":   {[]string{"Date", date, "Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}, ``, "2022-02-15T17:14:22.000Z", time.Minute},
		"the year 1":           {[]string{"Date", date}, `{"nextValidRequestDate":"0001-01-02T00:00:00.000Z"}`, "0001-01-02T00:00:00.000Z", 0},
		"a Date of 9999":       {[]string{"Date", "Fri, 31 Dec 9999 23:59:59 GMT"}, `{"nextValidRequestDate":"2022-02-15T17:13:32.363Z"}`, "2022-02-15T17:13:32.363Z", 0},
		"a Date of the year 1": {[]string{"Date", "Mon, 01 Jan 0001 00:00:00 GMT"}, `{"nextValidRequestDate":"2022-02-15T17:13:32.363Z"}`, "0001-01-01T00:01:00.000Z", time.Minute},
		"not a number":         {[]string{"Date", date, "Retry-After", "NaN"}, ``, "", 0},
		"infinity":             {[]string{"Date", date, "Retry-After", "+Inf"}, ``, "", 0},
		"an exponent":          {[]string{"Date", date, "Retry-After", "1e9"}, ``, "", 0},
		"zero":                 {[]string{"Date", date, "Retry-After", "0"}, ``, date0, 0},
		"HTTP date in body":    {[]string{"Date", date}, `{"nextValidRequestDate":"Tue, 15 Feb 2022 17:13:32 GMT"}`, "2022-02-15T17:13:32.000Z", 10 * time.Second},
		"RFC 850":              {[]string{"Date", date, "Retry-After", "Tuesday, 15-Feb-22 17:13:32 GMT"}, ``, "2022-02-15T17:13:32.000Z", 10 * time.Second},
		"asctime":              {[]string{"Date", date, "Retry-After", "Tue Feb 15 17:13:32 2022"}, ``, "2022-02-15T17:13:32.000Z", 10 * time.Second},
		"ISO in the header":    {[]string{"Date", date, "Retry-After", "2022-02-15T17:13:32Z"}, ``, "2022-02-15T17:13:32.000Z", 10 * time.Second},
		"epoch as a number":    {[]string{"Date", date}, `{"nextValidRequestDate":99999999999999999999}`, "", 0},
		"not even one is read": {[]string{"Date", date, "Retry-After", "-5"}, `{"nextValidRequestDate":"?"}`, "", 0},
	} {
		client := through(t, func(r *http.Request) (*http.Response, error) { return respond(r, 429, c.body, c.header...), nil },
			func(cfg *datasource.Config) { cfg.Retry.MaxAttempts = 1 })
		_, err := client.Find(t.Context(), 1, datasource.Query{})
		got, ok := errors.AsType[*datasource.Error](err)
		require.True(t, ok)
		assert.Equal(t, c.after, got.RetryAfter, name)
		if c.at == "" {
			assert.True(t, got.RetryAt.IsZero(), name)
		} else {
			assert.Equal(t, ms(c.at), got.RetryAt, name)
			assert.Contains(t, err.Error(), "next valid request", name)
		}
	}
}

func TestAnAnswerAboveTheLimitIsATypedError(t *testing.T) {
	t.Parallel()
	big := `{"id":1,"data":{"a":"` + strings.Repeat("x", 1000) + `"}}`
	chunked := func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, big)
	}
	for name, h := range map[string]http.HandlerFunc{"declared": answer(200, big), "chunked": chunked} {
		server := serve(t, h)
		client := server.client(t, func(cfg *datasource.Config) { cfg.MaxResponseBytes = 1000 })
		_, err := client.FindByID(t.Context(), 1, 1)
		tooLarge, ok := errors.AsType[*datasource.ResponseTooLargeError](err)
		require.True(t, ok, name)
		assert.Equal(t, int64(1000), tooLarge.Limit)
		assert.False(t, datasource.Doubtful(err))
		_, err = client.Insert(t.Context(), 1, M{})
		assert.True(t, datasource.Doubtful(err), name)
		assert.Len(t, server.seen(), 2, "asking again would be as large")
		_, err = server.client(t, func(cfg *datasource.Config) { cfg.MaxResponseBytes = 2000 }).FindByID(t.Context(), 1, 1)
		require.NoError(t, err)
	}
	exact := `{"id":1,"data":{}}`
	client := serve(t, answer(200, exact)).client(t, func(cfg *datasource.Config) { cfg.MaxResponseBytes = int64(len(exact)) })
	_, err := client.FindByID(t.Context(), 1, 1)
	require.NoError(t, err)
}

func TestAZippedAnswerCountsByItsContents(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("the client does not offer gzip")
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped(`{"id":1,"data":{"a":"` + strings.Repeat("x", 5000) + `"}}`))
	})
	row, err := server.client(t).FindByID(t.Context(), 1, 1)
	require.NoError(t, err)
	assert.Len(t, row.Data["a"], 5000)
	_, err = server.client(t, func(cfg *datasource.Config) { cfg.MaxResponseBytes = 1000 }).FindByID(t.Context(), 1, 1)
	_, ok := errors.AsType[*datasource.ResponseTooLargeError](err)
	assert.True(t, ok)
}

func TestFromServiceIsSetForTheServicesOwnErrorsOnly(t *testing.T) {
	t.Parallel()
	for body, own := range map[string]bool{
		`{"message":"no"}`: true, `{"error":"forbidden"}`: true, `{"error":{"message":"no"}}`: true, `{"type":"datasource.access"}`: true,
		`{"error_message":"no"}`: true, `<html>no</html>`: false, `no`: false, `"no"`: false, ``: false, `{}`: false, `{"blocked":true}`: false,
		`["no"]`: false, `{"message":"no"`: false, `{"message":null}`: false,
	} {
		_, err := serve(t, answer(404, body)).client(t).FindByID(t.Context(), 1, 2)
		answered, ok := errors.AsType[*datasource.Error](err)
		require.True(t, ok, body)
		assert.Equal(t, own, answered.FromService, body)
	}
}

// What a proxy makes of a status may have a type, a code, an error and a message, in forms of its own. Only what Fliplet
// documents word by word is certain to be the service's.
func TestCodedIsSaidOfTheServicesOwnWordsOnly(t *testing.T) {
	t.Parallel()
	for body, own := range map[string]bool{
		`{"message":"The security rules do not allow it.","type":"datasource.access","payload":{"dataSourceId":1}}`: true, `{"type":"datasource.access"}`: true,
		`{"error":{"type":"datasource.access"}}`:                                                     true,
		`{"error":"file.access","message":"You do not have permission"}`:                             true,
		`{"error":"not authorised","message":"The auth_token provided doesn't belong to any user."}`: true,
		`{"error":"not authorised"}`:                                                                 false, `{"error":"not authorised","message":"Access denied"}`: false, `{"error":"file.access"}`: false,
		`{"error":"not authorised","message":"not authorised"}`: false, `{"error":"RBAC","message":"RBAC: access denied"}`: false,
		`{"error":"no auth_token","message":"The auth_token is missing."}`: false, `{"message":"not authorised: auth_token"}`: false,
		`{"message":"Forbidden"}`: false, `{"message":"Missing Authentication Token"}`: false, `{"Message":"User is not authorized to access this resource"}`: false,
		`{"message":"no Route matched with those values","request_id":"5a"}`: false, `{"message":"Unauthorized"}`: false,
		`{"success":false,"errors":[{"code":1020,"message":"Access denied"}],"messages":[],"result":null}`:     false,
		`{"error":true,"error_code":1020,"error_name":"access_denied","status":403,"message":"Access denied"}`: false,
		`{"error":"invalid_token","error_description":"The access token expired"}`:                             false, `{"error":"Unauthorized","message":"Invalid token","statusCode":401}`: false,
		`{"error":"not found","message":"no such data source"}`: false, `{"error":"forbidden","message":"The flUserToken provided is not valid."}`: false,
		`{"message":"no"}`: false, `{"error":"Not Found"}`: false, `{"error":"no"}`: false, `<html>no</html>`: false,
		`{"status":404,"error":"Not Found","message":"No message available","path":"/x"}`: false, `{"error":"AccessDenied","code":"x","message":"Access Denied"}`: false,
		`{"timestamp":"2026-01-01T00:00:00.000+00:00","status":404,"error":"Not Found","path":"/v1/x"}`: false,
		`{"type":"about:blank","title":"Forbidden","status":403,"detail":"blocked"}`:                    false, `{"type":"upload","message":"no"}`: false,
		`{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}`:          false,
		`{"error":{"error":"not authorised","message":"The auth_token is unknown."}}`: false, `{"error":5,"message":"no auth_token"}`: false,
	} {
		_, err := serve(t, answer(404, body)).client(t).FindByID(t.Context(), 1, 2)
		answered, ok := errors.AsType[*datasource.Error](err)
		require.True(t, ok, body)
		assert.Equal(t, own, answered.Coded(), body)
	}
}
