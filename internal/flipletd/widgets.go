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
	for key, w := range c.st.widgets {
		if key.appID == appID {
			list = append(list, map[string]any{"id": w.id, "package": key.name, "appId": appID, "settings": w.settings})
		}
	}
	slices.SortFunc(list, func(a, b any) int {
		return cmp.Compare(a.(map[string]any)["id"].(int64), b.(map[string]any)["id"].(int64))
	})
	return c.value(http.StatusOK, map[string]any{"widgetInstances": list})
}

// getWidget serves the settings of a widget in an app.
func (c *call) getWidget() error {
	appID, _, err := c.scope()
	if err != nil {
		return err
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	w := c.st.widgets[widgetKey{c.args[0], appID}]
	if w == nil {
		return notFound("The widget instance")
	}
	return c.widget(w.settings)
}

// putWidget replaces the settings of a widget.
func (c *call) putWidget() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	appID, _, err := c.scope()
	if err != nil {
		return err
	}
	settings, ok := fields["settings"].(map[string]any)
	if !ok {
		settings = fields
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	if err := c.st.setWidget(c.st.begin(c.now, c.fx), c.args[0], appID, settings); err != nil {
		return err
	}
	return c.widget(settings)
}

func (c *call) widget(settings map[string]any) error {
	return c.value(http.StatusOK, map[string]any{
		"widgetInstance": map[string]any{"package": c.args[0], "settings": settings},
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
