package datasource

import "context"

type underWay struct{}

// UnderWay returns a context whose calls tell fn when a request is sent, with true, and when it has failed or its answer
// was read, with false. So how long a server takes can be told from how long a call takes, which may also wait for its
// turn at the Limiter, for a time that the server has named, or between attempts. The repetition by AskAgain belongs to
// the request that it repeats. fn must not block. A call tells one thing after the other, the calls of several goroutines
// do so at the same time. It makes no request.
func UnderWay(ctx context.Context, fn func(sent bool)) context.Context {
	return context.WithValue(ctx, underWay{}, fn)
}

// tell tells that a request is sent, and returns what tells that it is over.
func tell(ctx context.Context) (over func()) {
	fn, ok := ctx.Value(underWay{}).(func(bool))
	if !ok {
		return func() {}
	}
	fn(true)
	return func() { fn(false) }
}
