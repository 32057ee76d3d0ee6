package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What an error means, for errors.Is.
var (
	// ErrClosed: the Store was closed.
	ErrClosed = errors.New("pgstore: closed")
	// ErrNewerSchema: the tables were made by a newer version of this package.
	ErrNewerSchema = errors.New("pgstore: the tables are of a newer version")
	// ErrAborted: a statement in a transaction failed, and the function went on and
	// returned nil. PostgreSQL can only roll such a transaction back, and so nothing of it
	// is stored. Return the error, or put what may fail into a savepoint (Begin of the
	// transaction).
	ErrAborted = errors.New("pgstore: a statement in the transaction has failed, so all of it is rolled back; return the error of that statement, or use a savepoint")
	// ErrEnded: the function ended its transaction by itself, or used it after its end.
	ErrEnded = errors.New("pgstore: the transaction is over; it ends with its function: return nil to commit, an error to roll back")
	// ErrBusy: the transaction is in use, by rows that were not closed or by another
	// goroutine.
	ErrBusy = errors.New("pgstore: the transaction is in use; close its rows, and use it by one goroutine at a time")
	// ErrUncertain: the connection was lost when the transaction was being committed. It
	// took effect, or not at all: a read tells.
	ErrUncertain = errors.New("pgstore: the answer to COMMIT was lost, so the transaction may have taken effect or not")
)

// The codes of PostgreSQL that are told apart here.
const (
	abortedTransaction = "25P02"
	unknownCompletion  = "40003"
	serialization      = "40001"
	deadlock           = "40P01"
	undefinedTable     = "42P01"
	undefinedSchema    = "3F000"
	idledInTransaction = "25P03"
	serverEnds         = "57P01"
)

// code is the code of the server's answer, "" if it is none.
func code(err error) string {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return answer.Code
	}
	return ""
}

// failed says what went wrong in a call: the caller's context, or else the server.
func (s *Store) failed(ctx context.Context, call string, err error) error {
	switch {
	case err == nil:
		return nil
	case s.closed.Load():
		return ErrClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return explain(call, err)
}

// explain says what an error of the server, or of the way there, means.
func explain(call string, err error) error {
	switch at := code(err); {
	case at == abortedTransaction, errors.Is(err, pgx.ErrTxCommitRollback):
		return ErrAborted
	case at == undefinedTable, at == undefinedSchema:
		return fmt.Errorf("pgstore: %s: the tables are gone; open the Store again to make them: %w", call, err)
	case at == idledInTransaction:
		return fmt.Errorf("pgstore: %s: the transaction did nothing for too long, as when its process was suspended, and was rolled back; see IdleTimeout: %w", call, err)
	case at != "":
		return fmt.Errorf("pgstore: %s: %w", call, err)
	case errors.Is(err, pgx.ErrTxClosed):
		return ErrEnded
	}
	return fmt.Errorf("pgstore: %s: the server cannot be reached, or the connection was lost: %w", call, err)
}

// errLost: the connection of a transaction was lost before COMMIT.
var errLost = errors.New("pgstore: the connection was lost in the middle of the transaction, so nothing of it is stored")

// uncertain reports whether an error of COMMIT leaves open what happened.
func uncertain(err error) bool {
	if errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, pgx.ErrTxClosed) {
		return false
	}
	// pgconn.SafeToRetry does not tell: a lost answer to a simple query is a connection that
	// is closed, like one that was closed before.
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return true
	}
	if answer.Code == idledInTransaction { // before COMMIT came
		return false
	}
	// A server that ends the connection says so as an error, too.
	return answer.SeverityUnlocalized == "FATAL" || answer.SeverityUnlocalized == "PANIC" || answer.Code == unknownCompletion
}
