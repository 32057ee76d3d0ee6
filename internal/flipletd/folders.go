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
	CreatedAt, UpdatedAt, DeletedAt     time.Time
}

// mediaPlace is where an upload goes: an app, an organisation or a folder that
// the token reaches. Without any it is the token's app.
func (c *call) mediaPlace(fields map[string]any) (mediaFolder, error) {
	denied := fileDenied("You do not have permission to create files here")
	if !c.route.writes {
		denied = fileDenied("You do not have permission to see files here")
	}
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
		f := c.st.folder(folderID)
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

// folder is one that is not in the trash, nil if there is none. The caller holds the lock.
func (st *store) folder(id int64) *mediaFolder {
	if f := st.folders[id]; f != nil && f.DeletedAt.IsZero() {
		return f
	}
	return nil
}

// listMedia serves the files and folders of an app or folder.
func (c *call) listMedia() error { return c.media(false) }

// listDeletedMedia serves what is in the trash, whatever the folder.
func (c *call) listDeletedMedia() error { return c.media(true) }

func (c *call) media(trash bool) error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	place, err := c.mediaPlace(nil)
	if err != nil {
		return err
	}
	here := func(orgID, appID, folderID int64, deleted time.Time) bool {
		return orgID == c.cred.orgID && deleted.IsZero() != trash && (trash || folderID == place.ID) && (place.AppID == 0 || appID == place.AppID)
	}
	folders, files := []any{}, []any{}
	for _, id := range slices.Sorted(maps.Keys(c.st.folders)) {
		if f := c.st.folders[id]; here(f.OrganizationID, f.AppID, f.ParentID, f.DeletedAt) {
			folders = append(folders, f.fields())
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.st.files)) {
		if f := c.st.files[id]; here(f.orgID, f.appID, f.folderID, f.deletedAt) {
			files = append(files, c.fileFields(f))
		}
	}
	return c.value(http.StatusOK, map[string]any{"folders": folders, "files": files})
}

func (f *mediaFolder) fields() map[string]any {
	fields := map[string]any{
		"id": f.ID, "name": f.Name, "appId": nullable(f.AppID), "parentId": nullable(f.ParentID),
		"organizationId": nullable(f.OrganizationID), "createdAt": timeText(f.CreatedAt), "updatedAt": timeText(f.UpdatedAt), "deletedAt": nil,
	}
	if !f.DeletedAt.IsZero() {
		fields["deletedAt"] = timeText(f.DeletedAt)
	}
	return fields
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
		Name: name, CreatedAt: tx.stamp, UpdatedAt: tx.stamp,
	}
	tx.extra = append(tx.extra, f.record())
	tx.after = append(tx.after, func() { c.st.folders[f.ID] = f })
	if err := tx.commit(); err != nil {
		return err
	}
	return c.value(http.StatusOK, f.fields())
}

// getFolder serves what is known of a folder.
func (c *call) getFolder() error {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	f := c.st.folder(id)
	if f == nil || f.OrganizationID != c.cred.orgID {
		return notFound("The folder")
	}
	return c.value(http.StatusOK, f.fields())
}

// renamed reads the name and the folder that a change asks for; what it does not name
// stays. The caller holds the lock.
func (c *call) renamed(fields map[string]any, name string, folder int64) (string, int64, error) {
	if v, given := fields["name"]; given {
		text, ok := v.(string)
		if !ok || text == "" {
			return name, folder, badRequest("name must be a text that is not empty.")
		}
		name = text
	}
	for _, key := range []string{"mediaFolderId", "folderId", "parentId"} {
		v, given := fields[key]
		if !given {
			continue
		}
		id, ok := wholeNumber(v)
		if f := c.st.folder(id); v != nil && (!ok || f == nil || f.OrganizationID != c.cred.orgID) {
			return name, folder, badRequest("%s must be the id of a folder.", key)
		}
		folder = id
	}
	return name, folder, nil
}

// moved reads the app that a file moves to, or 0 when it moves to the organization.
func (c *call) moved(fields map[string]any, appID int64) (int64, error) {
	if v := fields["organizationId"]; v != nil {
		if id, ok := wholeNumber(v); !ok || id != c.cred.orgID {
			return appID, badRequest("organizationId must be the token's.")
		}
		if fields["appId"] == nil {
			return 0, nil
		}
	}
	if v := fields["appId"]; v != nil {
		id, _ := wholeNumber(v)
		if a := c.srv.people.app(id); a == nil || !c.seesApp(a) {
			return appID, badRequest("appId must be the id of an app.")
		}
		return id, nil
	}
	return appID, nil
}

func (c *call) changeFolder(change func(f *mediaFolder) error) (*mediaFolder, error) {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	old := c.st.folder(id)
	if old == nil || old.OrganizationID != c.cred.orgID {
		return nil, notFound("The folder")
	}
	f := *old
	tx := c.st.begin(c.now, c.fx)
	f.UpdatedAt = tx.stamp
	if err := change(&f); err != nil {
		return nil, err
	}
	tx.extra = append(tx.extra, f.record())
	tx.after = append(tx.after, func() { c.st.folders[f.ID] = &f })
	return &f, tx.commit()
}

// updateFolder renames a folder, or moves it into another.
func (c *call) updateFolder() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	f, err := c.changeFolder(func(f *mediaFolder) error {
		name, parent, err := c.renamed(fields, f.Name, f.ParentID)
		if err == nil && c.st.within(parent, f.ID) {
			return badRequest("parentId must not be the folder itself or one inside it.")
		}
		f.Name, f.ParentID = name, parent
		return err
	})
	if err != nil {
		return err
	}
	return c.value(http.StatusOK, f.fields())
}

// within reports whether a folder is another one or inside it.
func (st *store) within(id, outer int64) bool {
	for id != 0 {
		if id == outer {
			return true
		}
		f := st.folders[id]
		if f == nil {
			return false
		}
		id = f.ParentID
	}
	return false
}

// deleteFolder moves a folder to the trash.
func (c *call) deleteFolder() error {
	if _, err := c.changeFolder(func(f *mediaFolder) error { f.DeletedAt = f.UpdatedAt; return nil }); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{})
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
	if f.UpdatedAt.IsZero() { // of a journal that is older than the field
		f.UpdatedAt = f.CreatedAt
	}
	st.folders[f.ID] = &f
	st.lastID[kindFolder] = max(st.lastID[kindFolder], f.ID)
	return nil
}
