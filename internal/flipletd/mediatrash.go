package flipletd

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// This file is what the File Manager does beside files and folders that are in use: it
// brings them back from the trash, removes them for good, and takes many home at once.

// restoreFile brings a file back, with the folders around it.
func (c *call) restoreFile() error {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	old := c.st.files[id]
	if old == nil || old.orgID != c.cred.orgID || old.deletedAt.IsZero() {
		return notFound("The file")
	}
	f := *old
	tx := c.st.begin(c.now, c.fx)
	f.updatedAt, f.deletedAt = tx.stamp, time.Time{}
	tx.files = append(tx.files, &f)
	c.st.restoreAround(tx, f.folderID)
	if err := tx.commit(); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"file": c.fileFields(&f)})
}

// restoreFolder brings a folder back, with the folders around it.
func (c *call) restoreFolder() error {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	old := c.st.folders[id]
	if old == nil || old.OrganizationID != c.cred.orgID || old.DeletedAt.IsZero() {
		return notFound("The folder")
	}
	tx := c.st.begin(c.now, c.fx)
	c.st.restoreAround(tx, id)
	if err := tx.commit(); err != nil {
		return err
	}
	return c.value(http.StatusOK, c.st.folders[id].fields())
}

// restoreAround plans that a folder and those around it leave the trash.
func (st *store) restoreAround(tx *tx, id int64) {
	for id != 0 {
		old := st.folders[id]
		if old == nil {
			return
		}
		if !old.DeletedAt.IsZero() {
			f := *old
			f.UpdatedAt, f.DeletedAt = tx.stamp, time.Time{}
			tx.extra = append(tx.extra, f.record())
			tx.after = append(tx.after, func() { st.folders[f.ID] = &f })
		}
		id = old.ParentID
	}
}

// purgeFile removes a file that is in the trash for good.
func (c *call) purgeFile() error {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	f := c.st.files[id]
	if f == nil || f.orgID != c.cred.orgID || f.deletedAt.IsZero() {
		return notFound("The file")
	}
	return c.forget(kindFile, id, func() { delete(c.st.files, id) })
}

// purgeFolder removes a folder that is in the trash for good. What was in it stays, and
// can be restored without it.
func (c *call) purgeFolder() error {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	f := c.st.folders[id]
	if f == nil || f.OrganizationID != c.cred.orgID || f.DeletedAt.IsZero() {
		return notFound("The folder")
	}
	return c.forget(kindFolder, id, func() { delete(c.st.folders, id) })
}

func (c *call) forget(kind string, id int64, remove func()) error {
	tx := c.st.begin(c.now, c.fx)
	tx.extra = append(tx.extra, Record{Kind: kind, ID: id}, c.st.counters())
	tx.after = append(tx.after, remove)
	if err := tx.commit(); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{})
}

// zipFiles packs the files that the query lists, and those in the folders that it lists,
// one level deep. Private files are left out: there is no place for their keys.
func (c *call) zipFiles() error {
	wanted, inside := map[int64]bool{}, map[int64]bool{}
	for name, into := range inOrder(map[string]map[int64]bool{"files": wanted, "folders": inside}) {
		for part := range strings.SplitSeq(c.param(name), ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			id, err := strconv.ParseInt(part, 10, 64)
			if err != nil {
				return badRequest("%s must be ids with commas between them.", name)
			}
			into[id] = true
		}
	}
	if len(wanted)+len(inside) == 0 {
		return badRequest("files or folders is required.")
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	names := map[string]bool{}
	for id, f := range inOrder(c.st.files) {
		if !f.deletedAt.IsZero() || f.orgID != c.cred.orgID || f.key != "" || !wanted[id] && !inside[f.folderID] {
			continue
		}
		name := strings.ReplaceAll(f.name, "/", "_")
		if names[name] {
			name = fmt.Sprintf("%d-%s", f.id, name)
		}
		names[name] = true
		part, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: f.updatedAt})
		if err == nil {
			_, err = part.Write(f.content)
		}
		if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.status, c.contentType, c.header = http.StatusOK, "application/zip", toBeSaved("files.zip")
	c.out = append(c.out[:0], packed.Bytes()...)
	return nil
}
