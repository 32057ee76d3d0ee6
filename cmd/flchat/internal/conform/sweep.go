package conform

import (
	"context"
	"errors"
	"fmt"
)

// Swept is what a sweep has removed.
type Swept struct {
	Runs, Things int
	Busy         int // runs that are under way, which were left alone
}

// Sweep removes what killed runs have left in the app: only what their journals name.
func Sweep(ctx context.Context, o Options) (Swept, error) {
	var out Swept
	names, err := journals(o.Dir)
	if err != nil {
		return out, notThere(err)
	}
	var failed []error
	for _, name := range names {
		j, err := openJournal(name)
		if errors.Is(err, errBusy) {
			out.Busy++
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		n, err := sweep(ctx, o, j)
		out.Things += n
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
			continue
		}
		out.Runs++
	}
	return out, errors.Join(failed...)
}

func sweep(ctx context.Context, o Options, j *journal) (n int, err error) {
	defer func() { err = errors.Join(err, j.close()) }()
	left := len(j.left())
	if left == 0 {
		return 0, nil
	}
	r, err := newRun(ctx, o)
	if err != nil {
		return 0, err
	}
	if j.head.Host != r.host {
		return 0, &UsageError{fmt.Sprintf("this run was on %s, and not on %s: sweep with --url or --region of then", j.head.Host, r.host)}
	}
	r.App, r.id, r.journal, r.probe = j.head.App, j.head.Run, j, "sweep"
	if err := r.clean(j, true); err != nil {
		return left - len(j.left()), err
	}
	return left, nil
}
