package sqlstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// SQLite needs two files beside the database, and says of their absence only that it cannot
// open the file.
func TestAFolderThatCannotBeWrittenIsSaidSo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "folder")
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "archive.db")
	require.NoError(t, open(t, path).Close())
	require.NoError(t, os.Chmod(dir, 0o500))                          //nolint:gosec // a folder
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })                    //nolint:gosec // a folder
	if f, err := os.Create(filepath.Join(dir, "probe")); err == nil { //nolint:gosec // in the folder of the test
		_ = f.Close()
		t.Skip("this user may write everywhere")
	}
	for _, c := range []struct {
		name string
		path string
		opts []sqlstore.Option
	}{
		{"a file that is there", path, nil},
		{"a new file", filepath.Join(dir, "new.db"), nil},
		{"a lock", path, []sqlstore.Option{sqlstore.Alone()}},
	} {
		_, err := sqlstore.Open(t.Context(), c.path, c.opts...)
		require.ErrorIs(t, err, sqlstore.ErrReadOnly, c.name)
	}
}
