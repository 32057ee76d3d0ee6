package flipletd

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// mediaFolder is a folder of files.
type mediaFolder struct {
	ID, ParentID, AppID, OrganizationID int64
	Name                                string
	CreatedAt                           time.Time
}

// mediaPlace is where an upload goes: an app, an organisation or a folder that
// the token reaches. Without any it is the token's app.
func (c *call) mediaPlace(fields map[string]any) (mediaFolder, error) {
	denied := fileDenied("You do not have permission to create files here")
	at := mediaFolder{OrganizationID: c.cred.orgID}
	read := func(name string) (int64, error) {
		v := fields[name]
		if v == nil && c.param(name) != "" {
			v = c.param(name)
		}
		if v == nil {
			return 0, nil
		}
		id, ok := wholeNumber(v)
		if !ok {
			return 0, badRequest("%s must be a number.", name)
		}
		return id, nil
	}
	appID, err := read("appId")
	if err != nil {
		return at, err
	}
	orgID, err := read("organizationId")
	if err != nil {
		return at, err
	}
	folderID, err := read("folderId")
	if err != nil {
		return at, err
	}
	if parent, err := read("parentId"); err != nil {
		return at, err
	} else if parent != 0 {
		folderID = parent
	}
	if folderID != 0 {
		f := c.st.folders[folderID]
		if f == nil || f.OrganizationID != c.cred.orgID {
			return at, denied
		}
		return *f, nil
	}
	if orgID != 0 && orgID != c.cred.orgID {
		return at, denied
	}
	if orgID == 0 && appID == 0 {
		appID = c.cred.appID
	}
	if appID != 0 {
		if a := c.srv.people.app(appID); a == nil || a.orgID != c.cred.orgID {
			return at, denied
		}
	}
	at.AppID = appID
	return at, nil
}

// listMedia serves the files and folders of an app or folder.
func (c *call) listMedia() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	place, err := c.mediaPlace(nil)
	if err != nil {
		return err
	}
	folders, files := []any{}, []any{}
	for _, id := range slices.Sorted(maps.Keys(c.st.folders)) {
		if f := c.st.folders[id]; f.OrganizationID == c.cred.orgID && f.ParentID == place.ID && (place.AppID == 0 || f.AppID == place.AppID) {
			folders = append(folders, f.fields())
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.st.files)) {
		if f := c.st.files[id]; f.orgID == c.cred.orgID && f.folderID == place.ID && (place.AppID == 0 || f.appID == place.AppID) {
			files = append(files, c.fileFields(f))
		}
	}
	return c.value(http.StatusOK, map[string]any{"folders": folders, "files": files})
}

func (f *mediaFolder) fields() map[string]any {
	return map[string]any{
		"id": f.ID, "name": f.Name, "appId": nullable(f.AppID), "parentId": nullable(f.ParentID),
		"organizationId": nullable(f.OrganizationID), "createdAt": timeText(f.CreatedAt), "updatedAt": timeText(f.CreatedAt),
	}
}

func (c *call) createFolder() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	name, _ := fields["name"].(string)
	if name == "" {
		return badRequest("name must be a text that is not empty.")
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	place, err := c.mediaPlace(fields)
	if err != nil {
		return err
	}
	tx := c.st.begin(c.now, c.fx)
	f := &mediaFolder{
		ID: c.st.newID(kindFolder), ParentID: place.ID, AppID: place.AppID, OrganizationID: place.OrganizationID,
		Name: name, CreatedAt: tx.stamp,
	}
	tx.extra = append(tx.extra, f.record())
	tx.after = append(tx.after, func() { c.st.folders[f.ID] = f })
	if err := tx.commit(); err != nil {
		return err
	}
	return c.value(http.StatusOK, f.fields())
}

func (c *call) deleteFolder() error {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	if f := c.st.folders[id]; f == nil || f.OrganizationID != c.cred.orgID {
		return notFound("The folder")
	}
	tx := c.st.begin(c.now, c.fx)
	tx.extra = append(tx.extra, Record{Kind: kindFolder, ID: id}, c.st.counters())
	tx.after = append(tx.after, func() { delete(c.st.folders, id) })
	c.status, c.out = http.StatusOK, append(c.out[:0], "{}"...)
	return tx.commit()
}

func (f *mediaFolder) record() Record {
	raw, _ := json.Marshal(f) // plain fields always marshal
	return Record{Kind: kindFolder, ID: f.ID, Value: raw}
}

func (st *store) loadFolder(raw []byte) error {
	var f mediaFolder
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	st.folders[f.ID] = &f
	st.lastID[kindFolder] = max(st.lastID[kindFolder], f.ID)
	return nil
}
