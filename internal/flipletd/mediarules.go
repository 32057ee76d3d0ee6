package flipletd

import "net/http"

// maxMediaRules is how many access rules a file, a folder, an app or an organization may have, as documented.
const maxMediaRules = 20

// mediaRules are the access rules of files, folders and the root of apps and organizations, by the kind and id
// of what they are about. They are kept until the program ends, shown and inherited, and not
// applied: whoever has a token of the organization reads its files.
type mediaRules map[mediaPlaceKey]any

type mediaPlaceKey struct {
	kind string // kindFile, kindFolder, "app" or "organization"
	id   int64
}

const (
	mediaOfApp          = "app"
	mediaOfOrganization = "organization"
)

func (c *call) fileRules() error      { return c.mediaRules(kindFile, false) }
func (c *call) setFileRules() error   { return c.mediaRules(kindFile, true) }
func (c *call) folderRules() error    { return c.mediaRules(kindFolder, false) }
func (c *call) setFolderRules() error { return c.mediaRules(kindFolder, true) }
func (c *call) appRules() error       { return c.mediaRules(mediaOfApp, false) }
func (c *call) setAppRules() error    { return c.mediaRules(mediaOfApp, true) }

func (c *call) organizationRules() error    { return c.mediaRules(mediaOfOrganization, false) }
func (c *call) setOrganizationRules() error { return c.mediaRules(mediaOfOrganization, true) }

// mediaRules shows the rules of what the path names, after setting them to those of the body
// if that is asked for.
func (c *call) mediaRules(kind string, set bool) error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	if err := c.edits(); err != nil {
		return err
	}
	id, _ := wholeNumber(c.args[0])
	key := mediaPlaceKey{kind, id}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	around, appID, err := c.mediaAround(key)
	if err != nil {
		return err
	}
	if set {
		rules, given := fields["accessRules"]
		list, ok := rules.([]any)
		if !given || rules != nil && !ok {
			return badRequest("accessRules must be an array or null.")
		}
		if len(list) > maxMediaRules {
			return badRequest("accessRules must not hold more than %d rules.", maxMediaRules)
		}
		for i, rule := range list {
			if _, ok := rule.(map[string]any); !ok {
				return badRequest("accessRules[%d] must be an object.", i)
			}
		}
		if rules == nil {
			delete(c.st.mediaRules, key)
		} else {
			c.st.mediaRules[key] = list
		}
	}
	answer := map[string]any{"accessRules": c.st.mediaRules[key]}
	if kind != mediaOfApp {
		answer["effectiveRules"], answer["inheritedFrom"] = c.inheritedRules(key, around, appID)
	}
	return c.value(http.StatusOK, answer)
}

// mediaAround finds what a place is in: its folder and its app, 0 for none. The caller holds
// the lock.
func (c *call) mediaAround(key mediaPlaceKey) (folderID, appID int64, err error) {
	switch key.kind {
	case kindFile:
		if f := c.st.file(key.id); f != nil && f.orgID == c.cred.orgID {
			return f.folderID, f.appID, nil
		}
		return 0, 0, notFound("The file")
	case kindFolder:
		if f := c.st.folder(key.id); f != nil && f.OrganizationID == c.cred.orgID {
			return f.ParentID, f.AppID, nil
		}
		return 0, 0, notFound("The folder")
	case mediaOfOrganization:
		if key.id != c.cred.orgID {
			return 0, 0, notFound("The organization")
		}
		return 0, 0, nil
	}
	if a := c.srv.people.app(key.id); a == nil || !c.seesApp(a) {
		return 0, 0, notFound("The app")
	}
	return 0, 0, nil
}

// inheritedRules is the rules that a place has: its own, or those of the nearest folder around
// it, or those of its app, or those of the organization. The caller holds the lock.
func (c *call) inheritedRules(key mediaPlaceKey, folderID, appID int64) (rules, from any) {
	st := c.st
	if own := st.mediaRules[key]; own != nil {
		return own, nil
	}
	for f := st.folders[folderID]; f != nil; f = st.folders[f.ParentID] {
		if rules := st.mediaRules[mediaPlaceKey{kindFolder, f.ID}]; rules != nil {
			return rules, map[string]any{"type": "folder", "folderId": f.ID, "folderName": f.Name}
		}
	}
	if rules := st.mediaRules[mediaPlaceKey{mediaOfApp, appID}]; rules != nil {
		return rules, map[string]any{"type": "app", "appId": appID}
	}
	if rules := st.mediaRules[mediaPlaceKey{mediaOfOrganization, c.cred.orgID}]; rules != nil {
		return rules, map[string]any{"type": "organization", "organizationId": c.cred.orgID, "organizationName": c.srv.people.organizationName(c.cred.orgID)}
	}
	return []any{}, nil
}
