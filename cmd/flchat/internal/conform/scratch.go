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

func contains(list []int64, n int64) bool { return slices.Contains(list, n) }

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
	for round := 1; len(j.left()) > 0; round++ {
		there, err := r.look(j.left())
		if err != nil {
			return err
		}
		var failed []error
		unknown := false
		for _, l := range j.left() {
			switch found, err := r.remove(j, l, there); {
			case err != nil:
				failed = append(failed, err)
			case found || !killed || round > 1:
				if err := j.write(line{Do: "gone", Kind: l.Kind, Name: l.Name}); err != nil {
					return err
				}
			default:
				unknown = true // its request may still be under way
			}
		}
		if err := errors.Join(failed...); err != nil || !unknown {
			return err
		}
		r.pause(r.Settle)
	}
	return nil
}

// things are ids by names, of what is in the app and in its trash.
type things struct {
	live, trash map[kind]map[string][]int64
}

// look reads the lists that tell what there is.
func (r *run) look(left []line) (things, error) {
	found := things{map[kind]map[string][]int64{}, map[kind]map[string][]int64{}}
	wanted := map[kind]bool{}
	for _, l := range left {
		wanted[l.Kind] = true
	}
	for _, list := range []struct {
		of    kind
		path  string
		query url.Values
		field string
		into  map[kind]map[string][]int64
	}{
		{dataSource, "/v1/data-sources", r.inApp("attributes", "id,name"), "dataSources", found.live},
		{dataSource, "/v1/data-sources", r.inApp("attributes", "id,name", "type", "conversation"), "dataSources", found.live},
		{dataSource, "/v1/data-sources/deleted", r.inApp(), "dataSources", found.trash},
		{mediaFile, "/v1/media", r.inApp(), "files", found.live},
		{mediaFile, "/v1/media/deleted", r.inApp(), "files", found.trash},
	} {
		if !wanted[list.of] {
			continue
		}
		a := r.do(call{method: "GET", path: list.path, query: list.query})
		optional := list.of == mediaFile || strings.HasSuffix(list.path, "/deleted") // what is known by its id is deleted without them
		switch {
		case !a.ok() && (!optional || a.status >= 500):
			return found, &ServiceError{fmt.Sprintf("the list %s cannot be read: status %d", list.path, a.status)}
		case a.ok() && !a.has(list.field): // a page of somebody on the way would look as if nothing were left
			return found, &ServiceError{fmt.Sprintf("the list %s cannot be read: the answer has no %s", list.path, list.field)}
		}
		if list.into[list.of] == nil {
			list.into[list.of] = map[string][]int64{}
		}
		for _, x := range a.list(list.field) {
			name, _ := x["name"].(string)
			if n := id(x["id"]); n != 0 && strings.HasPrefix(strings.ReplaceAll(name, "-", " "), prefix) && !slices.Contains(list.into[list.of][name], n) {
				list.into[list.of][name] = append(list.into[list.of][name], n)
			}
		}
	}
	return found, nil
}

// remove removes one thing, wherever it is, and reports whether it was anywhere.
func (r *run) remove(j *journal, l line, there things) (found bool, err error) {
	live, trash := slices.Clone(there.live[l.Kind][l.Name]), slices.Clone(there.trash[l.Kind][l.Name])
	at, bin, own := "/v1/data-sources/", "/v1/data-sources/deleted/", func(id int64) { r.own(id, l.Name) }
	if l.Kind == mediaFile {
		at, bin, own = "/v1/media/files/", "/v1/media/deleted/files/", func(id int64) { r.files[id] = l.Name }
	}
	if l.ID != 0 && !slices.Contains(live, l.ID) && !slices.Contains(trash, l.ID) { // lists may lack it
		own(l.ID)
		if l.Kind == mediaFile || r.do(call{method: "GET", path: path(l.ID)}).source()["name"] == l.Name {
			live = append(live, l.ID)
		} else {
			trash = append(trash, l.ID)
		}
	}
	drop := func(from string, id int64, what string) error {
		own(id)
		if a := r.do(call{method: "DELETE", path: from + strconv.FormatInt(id, 10)}); !a.ok() && a.status != http.StatusNotFound {
			return fmt.Errorf("%q %s: status %d", l.Name, what, a.status)
		}
		return nil
	}
	if l.ID == 0 && len(live) > 0 { // in the trash it may be known by nothing else
		if err := j.write(line{Do: "made", Kind: l.Kind, Name: l.Name, ID: live[0]}); err != nil {
			return false, err
		}
	}
	for _, id := range live {
		if err := drop(at, id, "cannot be deleted"); err != nil {
			return false, err
		}
		trash = append(trash, id)
	}
	for _, id := range trash {
		if err := drop(bin, id, "stays in the trash"); err != nil {
			return false, err
		}
	}
	return len(trash) > 0, nil
}
