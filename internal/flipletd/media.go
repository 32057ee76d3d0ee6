package flipletd

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	_ "image/gif" // the formats whose size an upload reports
	_ "image/jpeg"
	_ "image/png"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mediaFile is an uploaded file. It is not changed after it was stored: a change is
// another one.
type mediaFile struct {
	id, appID, orgID, folderID, entryID, userID int64
	name, contentType                           string
	key                                         string // the private key that a reader must show; "" is none
	checksum                                    string // what the uploader says that it is
	content                                     []byte
	createdAt, updatedAt, deletedAt             time.Time
}

// Extensions that uploads are documented to be refused for.
var forbiddenExtensions = strings.Fields(
	"exe msi dll bat cmd sh bash jar bin sys js rb py php ts pl cgi so drv vxd zip tar 7z rar gz iso")

// Extensions that are recognized whatever the machine's own tables say.
var knownTypes = map[string]string{
	"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
	"heic": "image/heic", "svg": "image/svg+xml", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
	"pdf": "application/pdf", "txt": "text/plain", "csv": "text/csv", "md": "text/markdown", "html": "text/html",
	"json": "application/json", "xml": "application/xml", "rtf": "application/rtf",
	"doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"mp3":  "audio/mpeg", "m4a": "audio/mp4", "wav": "audio/wav", "ogg": "audio/ogg", "aac": "audio/aac",
	"mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "avi": "video/x-msvideo",
	"ics": "text/calendar", "vcf": "text/vcard",
}

// checkFile refuses what uploads refuse, with the documented 422.
func (c *call) checkFile(f *filePart) error {
	extension := strings.ToLower(strings.TrimPrefix(path.Ext(f.name), "."))
	if slices.Contains(forbiddenExtensions, extension) {
		return unprocessable("Files of type %q cannot be uploaded.", extension)
	}
	if int64(len(f.content)) > c.srv.maxFile {
		return unprocessable("The file is larger than %d bytes.", c.srv.maxFile)
	}
	declared, _, _ := strings.Cut(f.contentType, ";")
	if declared = strings.TrimSpace(declared); declared != "" && declared != "application/octet-stream" {
		f.contentType = declared
		return nil
	}
	if f.contentType = knownTypes[extension]; f.contentType == "" {
		return unprocessable("The type of the file is not recognised.")
	}
	return nil
}

// newFile plans a file that has been checked.
func (c *call) newFile(tx *tx, part *filePart) *mediaFile {
	f := &mediaFile{
		id: c.st.newID(kindFile), name: part.name, contentType: part.contentType, content: part.content,
		createdAt: tx.stamp, updatedAt: tx.stamp, userID: c.cred.userID,
	}
	tx.files = append(tx.files, f)
	return f
}

// baseURL is the address under which the client reached the server.
func (c *call) baseURL() string {
	scheme := "http://"
	if c.req.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.req.Host
}

// fileURL is where the API serves a file, in the spelling of those that need a token.
func (c *call) fileURL(f *mediaFile) string {
	return c.baseURL() + "/v1/media/files/" + strconv.FormatInt(f.id, 10) + "/contents/" + url.PathEscape(f.name)
}

// path is where a file is in the storage behind the service.
func (f *mediaFile) path() string {
	return fmt.Sprintf("organizations/%d/files/%d/%s", f.orgID, f.id, url.PathEscape(f.name))
}

// addressOf is the address in a media object: of the API, which wants a token, as
// documented for files that not everybody may read, or of the CDN when a lever says so.
func (c *call) addressOf(f *mediaFile) string {
	if c.fx.Shape.CDN {
		return c.baseURL() + "/" + f.path()
	}
	return c.fileURL(f)
}

// thumbnail is the address of a picture's preview, which is the picture itself here.
func (c *call) thumbnail(f *mediaFile) any {
	if !strings.HasPrefix(f.contentType, "image/") {
		return nil
	}
	return fmt.Sprintf("%s/v1/media/files/%d/thumb/preview.jpg", c.baseURL(), f.id)
}

// fileFields is a file as the API describes it.
func (c *call) fileFields(f *mediaFile) map[string]any {
	sum := md5.Sum(f.content)
	fields := map[string]any{
		"id": f.id, "name": f.name, "contentType": f.contentType,
		"path": f.path(), "url": c.addressOf(f), "thumbnail": c.thumbnail(f), "size": nil,
		"isEncrypted": nil, "versions": map[string]any{}, "isOrganizationMedia": false,
		"createdAt": timeText(f.createdAt), "updatedAt": timeText(f.updatedAt), "deletedAt": nil, "masterMediaFileId": nil,
		"appId": nullable(f.appID), "dataSourceEntryId": nullable(f.entryID), "dataTrackingId": nil,
		"mediaFolderId": nullable(f.folderID), "userId": nullable(f.userID), "organizationId": nullable(f.orgID),
		"metadata": map[string]any{
			"size": len(f.content), "checksum": hex.EncodeToString(sum[:]), "av": map[string]any{"status": "clean"},
		},
	}
	if f.key != "" {
		fields["isEncrypted"] = true
	}
	if f.checksum != "" {
		fields["metadata"].(map[string]any)["clientChecksum"] = f.checksum
	}
	if !f.deletedAt.IsZero() {
		fields["deletedAt"] = timeText(f.deletedAt)
	}
	if strings.HasPrefix(f.contentType, "image/") {
		if cfg, _, err := image.DecodeConfig(bytes.NewReader(f.content)); err == nil {
			fields["size"] = []any{cfg.Width, cfg.Height}
		}
	}
	return fields
}

func nullable(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// fileDenied is the documented refusal of file security.
func fileDenied(message string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: "file.access", message: message}
}

// uploadFiles stores the files of parts named files[0], files[1], …, with
// names from name[0], name[1], ….
func (c *call) uploadFiles() error {
	boundary, ok := c.isMultipart()
	if !ok {
		return badRequest("Files are sent as multipart/form-data.")
	}
	fields, err := c.parts(boundary)
	if err != nil {
		return err
	}
	var files []*filePart
	names := make(map[string]string) // by what follows "name", such as [0]
	checksum := ""
	for _, f := range fields {
		if f.name == "checksum" && f.items[0].file == nil {
			checksum = f.items[0].text
		}
		if at, ok := strings.CutPrefix(f.name, "name"); ok && f.items[0].file == nil {
			names[at] = path.Base(f.items[0].text)
		}
	}
	for _, f := range fields {
		for _, item := range f.items {
			if item.file == nil {
				continue
			}
			if name := names[strings.TrimPrefix(f.name, "files")]; name != "" {
				item.file.name = name
			}
			files = append(files, item.file)
		}
	}
	if len(files) == 0 {
		return badRequest("There is no file in the request.")
	}
	if len(files) > 1 {
		checksum = "" // it is of one file
	} else if name := c.param("name"); name != "" {
		files[0].name = path.Base(name)
	}
	for _, f := range files {
		if err := c.checkFile(f); err != nil {
			return err
		}
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	place, err := c.mediaPlace(nil)
	if err != nil {
		return err
	}
	tx := c.st.begin(c.now, c.fx)
	list := make([]any, len(files))
	for i, part := range files {
		f := c.newFile(tx, part)
		f.appID, f.orgID, f.folderID, f.checksum = place.AppID, place.OrganizationID, place.ID, checksum
		list[i] = c.fileFields(f)
	}
	if err := tx.commit(); err != nil {
		return err
	}
	return c.value(http.StatusCreated, map[string]any{"files": list})
}

// fileContents streams a file to whoever shows a token and, if the file was
// stored with a private key, that key. The name of the key's parameter is
// assumed.
func (c *call) fileContents() error {
	id, _ := wholeNumber(c.args[0])
	return c.contents(id, false)
}

// cdnContents serves a file under its path, as the CDN does: under the lever to anybody
// who needs no key for it, otherwise as the API does.
func (c *call) cdnContents() error {
	id, _ := wholeNumber(c.args[1])
	return c.contents(id, c.fx.Shape.CDN)
}

func (c *call) contents(id int64, public bool) error {
	denied := fileDenied("You do not have permission to access this file")
	cred, err := c.srv.people.authenticate(c.req, c.query)
	if err != nil && !public {
		return denied
	}
	c.st.mu.RLock()
	f := c.st.file(id)
	c.st.mu.RUnlock()
	if f == nil {
		return notFound("The file")
	}
	if !public && f.orgID != cred.orgID ||
		f.key != "" && subtle.ConstantTimeCompare([]byte(f.key), []byte(c.param("encryptionKey"))) == 0 {
		return denied
	}
	c.status, c.contentType = http.StatusOK, f.contentType
	c.header = toBeSaved(f.name)
	c.out = append(c.out[:0], f.content...)
	return nil
}

// toBeSaved makes a browser save a file, whatever its type, instead of showing it: a
// page or a picture that somebody has uploaded could run scripts in this origin.
func toBeSaved(name string) http.Header {
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	return http.Header{
		"Content-Disposition":     {cmp.Or(disposition, "attachment")},
		"Content-Security-Policy": {"default-src 'none'; sandbox; frame-ancestors 'none'"},
		"X-Content-Type-Options":  {"nosniff"},
	}
}

// file is one that is not in the trash, nil if there is none. The caller holds the lock.
func (st *store) file(id int64) *mediaFile {
	if f := st.files[id]; f != nil && f.deletedAt.IsZero() {
		return f
	}
	return nil
}

// changeFile answers with a file of the path after a change of it.
func (c *call) changeFile(change func(f *mediaFile) error) (*mediaFile, error) {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	old := c.st.file(id)
	if old == nil || old.orgID != c.cred.orgID {
		return nil, notFound("The file")
	}
	f := *old
	tx := c.st.begin(c.now, c.fx)
	f.updatedAt = tx.stamp
	if err := change(&f); err != nil {
		return nil, err
	}
	tx.files = append(tx.files, &f)
	return &f, tx.commit()
}

// getFile serves what is known of a file.
func (c *call) getFile() error {
	id, _ := wholeNumber(c.args[0])
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	f := c.st.file(id)
	if f == nil || f.orgID != c.cred.orgID {
		return notFound("The file")
	}
	return c.value(http.StatusOK, map[string]any{"file": c.fileFields(f)})
}

// aggregateFiles serves what is known of several files, or the fields of them that the
// body names. Files that are not there are passed over.
func (c *call) aggregateFiles() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	ids, err := numbers("files", fields["files"])
	if err != nil {
		return err
	}
	var only []string
	if v := fields["attributes"]; v != nil {
		if only, err = texts("attributes", v); err != nil {
			return err
		}
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	list := []any{}
	for _, id := range ids {
		f := c.st.file(id)
		if f == nil || f.orgID != c.cred.orgID {
			continue
		}
		file := c.fileFields(f)
		maps.DeleteFunc(file, func(name string, _ any) bool { return only != nil && name != "id" && !slices.Contains(only, name) })
		list = append(list, file)
	}
	return c.value(http.StatusOK, map[string]any{"files": list})
}

// numbers reads a list of ids.
func numbers(name string, v any) ([]int64, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("%s must be an array of ids.", name)
	}
	ids := make([]int64, len(list))
	for i, e := range list {
		if ids[i], ok = wholeNumber(e); !ok {
			return nil, badRequest("%s[%d] must be an id.", name, i)
		}
	}
	return ids, nil
}

// updateFile renames a file, or moves it to another folder.
func (c *call) updateFile() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	f, err := c.changeFile(func(f *mediaFile) error {
		name, folder, err := c.renamed(fields, f.name, f.folderID)
		f.name, f.folderID = name, folder
		if err == nil {
			f.appID, err = c.moved(fields, f.appID)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"file": c.fileFields(f)})
}

// deleteFile moves a file to the trash.
func (c *call) deleteFile() error {
	if _, err := c.changeFile(func(f *mediaFile) error { f.deletedAt = f.updatedAt; return nil }); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{})
}

// storedFile is a file in the journal.
type storedFile struct {
	ID, AppID, OrganizationID, FolderID, EntryID, UserID int64
	Name, ContentType, Key, Checksum                     string
	Content                                              []byte
	CreatedAt, UpdatedAt, DeletedAt                      time.Time
}

func (f *mediaFile) record() Record {
	raw, _ := json.Marshal(storedFile{
		f.id, f.appID, f.orgID, f.folderID, f.entryID, f.userID, f.name, f.contentType, f.key, f.checksum, f.content, f.createdAt, f.updatedAt, f.deletedAt,
	}) // plain fields always marshal
	return Record{Kind: kindFile, ID: f.id, Value: raw}
}

func (st *store) loadFile(raw []byte) error {
	var s storedFile
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if s.UpdatedAt.IsZero() { // of a journal that is older than the field
		s.UpdatedAt = s.CreatedAt
	}
	st.putFile(&mediaFile{
		id: s.ID, appID: s.AppID, orgID: s.OrganizationID, folderID: s.FolderID, entryID: s.EntryID, userID: s.UserID,
		name: s.Name, contentType: s.ContentType, key: s.Key, checksum: s.Checksum, content: s.Content, createdAt: s.CreatedAt,
		updatedAt: s.UpdatedAt, deletedAt: s.DeletedAt,
	})
	return nil
}

func (st *store) putFile(f *mediaFile) {
	st.files[f.id] = f
	st.lastID[kindFile] = max(st.lastID[kindFile], f.id)
}
