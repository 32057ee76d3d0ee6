package conform

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// prefix is what everything begins with that is made.
const prefix = "flchat conform "

func (r *run) name(role string) string { return prefix + r.id + " " + role }

func (r *run) role(name string) string { return strings.TrimPrefix(name, prefix+r.id+" ") }

// make makes a data source with further fields, and returns 0 when that was refused.
func (r *run) make(role string, fields object) (int64, *answer) {
	return r.makeAs(asUser, role, fields)
}

func (r *run) makeAs(as credential, role string, fields object) (int64, *answer) {
	name := r.name(role)
	r.must(r.journal.write(line{Do: "make", Kind: dataSource, Name: name}))
	r.names[name] = 0
	body := object{"name": name, "appId": r.App}
	maps.Copy(body, fields)
	a := r.do(call{method: "POST", path: "/v1/data-sources", body: body, as: as})
	made := id(a.source()["id"])
	switch {
	case a.ok() && made != 0:
		r.own(made, name)
		r.must(r.journal.write(line{Do: "made", Kind: dataSource, Name: name, ID: made}))
	case a.status >= 400 && a.status < 500:
		r.must(r.journal.write(line{Do: "gone", Kind: dataSource, Name: name}))
	}
	return made, a
}

// own notes what the run has made.
func (r *run) own(made int64, name string) {
	r.names[name], r.roles[made] = made, r.role(name)
}

// must stops the run when its journal cannot be written.
func (r *run) must(err error) {
	if err != nil {
		panic(stopped{err})
	}
}

// upload inserts a row with a file. The row's source is one of the run's, the file is deleted
// on its own.
func (r *run) upload(source int64, file, content string, more ...part) *answer {
	name := strings.ReplaceAll(r.name(file), " ", "-")
	r.must(r.journal.write(line{Do: "make", Kind: mediaFile, Name: name}))
	a := r.do(call{
		method: "PUT", path: path(source) + "/data",
		parts: append([]part{{name: "body", content: "with a file"}}, append(more, part{name: "file[]", file: name, content: content})...),
	})
	var made int64
	switch v := data(a.entry())["fileMediaFileId"].(type) {
	case []any:
		if len(v) > 0 {
			made = id(v[0])
		}
	default:
		made = id(v)
	}
	switch {
	case made != 0:
		r.files[made] = name
		r.must(r.journal.write(line{Do: "made", Kind: mediaFile, Name: name, ID: made}))
	case a.status >= 400 && a.status < 500:
		r.must(r.journal.write(line{Do: "gone", Kind: mediaFile, Name: name}))
	}
	return a
}

func path(source int64) string { return "/v1/data-sources/" + strconv.FormatInt(source, 10) }

func (r *run) inApp(more ...string) url.Values {
	return pairs(url.Values{"appId": {strconv.FormatInt(r.App, 10)}}, more)
}

// pairs adds names and values in turn.
func pairs(q url.Values, more []string) url.Values {
	for pair := range slices.Chunk(more, 2) {
		q.Set(pair[0], pair[1])
	}
	return q
}

// clean removes what a journal has left: of a run that was killed also what may have been made
// just then.
func (r *run) clean(j *journal, killed bool) (err error) {
	defer r.recovered(&err)
	var failed []error
	for round := 1; ; round++ {
		unknown := false
		for _, l := range j.left() {
			gone, err := r.remove(l)
			switch {
			case err != nil:
				failed = append(failed, err)
			case gone || !killed || round > 1:
				if err := j.write(line{Do: "gone", Kind: l.Kind, Name: l.Name}); err != nil {
					return err
				}
			default:
				unknown = true // its request may still be under way
			}
		}
		if !unknown || len(failed) > 0 {
			return errors.Join(failed...)
		}
		r.pause(r.Settle)
	}
}

// remove removes one thing, wherever it is. gone is false if it was nowhere.
func (r *run) remove(l line) (gone bool, err error) {
	if l.Kind == mediaFile {
		return r.removeFile(l)
	}
	live, trash, err := r.look(l.Name)
	if err != nil {
		return false, err
	}
	if l.ID != 0 && !contains(live, l.ID) && !contains(trash, l.ID) { // lists may lack it
		r.own(l.ID, l.Name)
		if a := r.do(call{method: "GET", path: path(l.ID)}); a.ok() && a.source()["name"] == l.Name {
			live = append(live, l.ID)
		} else {
			trash = append(trash, l.ID)
		}
	}
	for _, id := range live {
		r.own(id, l.Name)
		if a := r.do(call{method: "DELETE", path: path(id)}); !a.ok() && a.status != http.StatusNotFound {
			return false, fmt.Errorf("%q cannot be deleted: status %d", l.Name, a.status)
		}
		trash = append(trash, id)
	}
	for _, id := range trash {
		r.own(id, l.Name)
		if a := r.do(call{method: "DELETE", path: "/v1/data-sources/deleted/" + strconv.FormatInt(id, 10)}); !a.ok() && a.status != http.StatusNotFound {
			return false, fmt.Errorf("%q stays in the trash: status %d", l.Name, a.status)
		}
	}
	return len(trash) > 0, nil
}

// look finds what is called so, in the app and in the trash.
func (r *run) look(name string) (live, trash []int64, err error) {
	find := func(q url.Values, p string, found *[]int64) error {
		a := r.do(call{method: "GET", path: p, query: q})
		if !a.ok() {
			return fmt.Errorf("the list %s cannot be read: status %d", p, a.status)
		}
		for _, s := range a.list("dataSources") {
			if n := id(s["id"]); n != 0 && s["name"] == name && !contains(*found, n) {
				*found = append(*found, n)
			}
		}
		return nil
	}
	err = errors.Join(
		find(r.inApp("attributes", "id,name"), "/v1/data-sources", &live),
		find(r.inApp("attributes", "id,name", "type", "conversation"), "/v1/data-sources", &live),
		find(r.inApp(), "/v1/data-sources/deleted", &trash),
	)
	return live, trash, err
}

func contains(list []int64, n int64) bool { return slices.Contains(list, n) }

func (r *run) removeFile(l line) (gone bool, err error) {
	live, err := r.filesCalled("/v1/media", l.Name)
	if err != nil {
		return false, err
	}
	if l.ID != 0 && !contains(live, l.ID) { // it may have got another name
		live = append(live, l.ID)
	}
	for _, id := range live {
		r.files[id] = l.Name
		if a := r.do(call{method: "DELETE", path: "/v1/media/files/" + strconv.FormatInt(id, 10)}); !a.ok() && a.status != http.StatusNotFound {
			return false, fmt.Errorf("the file %q cannot be deleted: status %d", l.Name, a.status)
		}
	}
	trash, err := r.filesCalled("/v1/media/deleted", l.Name)
	if err != nil {
		return false, err
	}
	for _, id := range trash {
		r.files[id] = l.Name
		if a := r.do(call{method: "DELETE", path: "/v1/media/deleted/files/" + strconv.FormatInt(id, 10)}); !a.ok() && a.status != http.StatusNotFound {
			return false, fmt.Errorf("the file %q stays in the trash: status %d", l.Name, a.status)
		}
	}
	return len(live)+len(trash) > 0, nil
}

// filesCalled are the files of a list that are called so.
func (r *run) filesCalled(p, name string) (found []int64, err error) {
	a := r.do(call{method: "GET", path: p, query: r.inApp()})
	if a.status == http.StatusNotFound {
		return nil, nil // there is no such list
	}
	if !a.ok() {
		return nil, fmt.Errorf("the list %s cannot be read: status %d", p, a.status)
	}
	for _, f := range a.list("files") {
		if n := id(f["id"]); n != 0 && f["name"] == name && !contains(found, n) {
			found = append(found, n)
		}
	}
	return found, nil
}
