package flipletd

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
)

// widget is the settings of a widget in an app.
type widget struct {
	id       int64
	settings map[string]any
}

// widgetKey names a widget in an app.
type widgetKey struct {
	name  string
	appID int64
}

// listInstances serves the widgets of an app with their settings.
func (c *call) listInstances() error {
	appID, _, err := c.scope()
	if err != nil {
		return err
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	list := []any{}
	onPage := c.has("pageId") // apps have no pages here
	for key, w := range c.st.widgets {
		if key.appID == appID && !onPage {
			list = append(list, map[string]any{"id": w.id, "widgetId": w.id, "package": key.name, "appId": appID, "settings": w.settings})
		}
	}
	slices.SortFunc(list, func(a, b any) int {
		return cmp.Compare(a.(map[string]any)["id"].(int64), b.(map[string]any)["id"].(int64))
	})
	return c.value(http.StatusOK, map[string]any{"widgetInstances": list})
}

// widgetKey names the widget of the path: by its package in the app of the request, or by
// the id that lists show. The caller holds the store's lock.
func (c *call) widgetKey() (widgetKey, error) {
	id, byID := wholeNumber(c.args[0])
	if byID {
		for key, w := range c.st.widgets {
			if a := c.srv.people.app(key.appID); w.id == id && a != nil && c.seesApp(a) {
				return key, nil
			}
		}
		return widgetKey{}, notFound("The widget instance")
	}
	appID, _, err := c.scope()
	return widgetKey{c.args[0], appID}, err
}

// getWidget serves the settings of a widget in an app.
func (c *call) getWidget() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	key, err := c.widgetKey()
	if err != nil {
		return err
	}
	w := c.st.widgets[key]
	if w == nil {
		return notFound("The widget instance")
	}
	return c.widget(key, w)
}

// putWidget replaces the settings of a widget.
func (c *call) putWidget() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	settings, ok := fields["settings"].(map[string]any)
	if !ok {
		settings = fields
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	key, err := c.widgetKey()
	if err != nil {
		return err
	}
	if err := c.st.setWidget(c.st.begin(c.now, c.fx), key.name, key.appID, settings); err != nil {
		return err
	}
	return c.widget(key, c.st.widgets[key])
}

func (c *call) widget(key widgetKey, w *widget) error {
	return c.value(http.StatusOK, map[string]any{
		"widgetInstance": map[string]any{"id": w.id, "package": key.name, "appId": key.appID, "settings": w.settings},
	})
}

// setWidget keeps the settings of a widget. The caller holds the store's lock.
func (st *store) setWidget(tx *tx, name string, appID int64, settings map[string]any) error {
	key := widgetKey{name, appID}
	w := &widget{settings: settings}
	if old := st.widgets[key]; old != nil {
		w.id = old.id
	} else {
		w.id = st.newID(kindWidget)
	}
	tx.extra = append(tx.extra, w.record(key))
	tx.after = append(tx.after, func() { st.widgets[key] = w })
	return tx.commit()
}

func (w *widget) record(key widgetKey) Record {
	return Record{Kind: kindWidget, ID: w.id, Value: appendValue(nil, map[string]any{
		"package": key.name, "appId": key.appID, "settings": w.settings,
	})}
}

func (st *store) loadWidget(id int64, raw []byte) error {
	var in struct {
		Package  string
		AppID    int64
		Settings json.RawMessage
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	v, err := decodeJSON(in.Settings)
	if err != nil {
		return err
	}
	w := &widget{id: id}
	w.settings, _ = v.(map[string]any)
	st.widgets[widgetKey{in.Package, in.AppID}] = w
	st.lastID[kindWidget] = max(st.lastID[kindWidget], id)
	return nil
}
