package flipletd

import "net/http"

// getWidget serves the settings of a widget in an app.
func (c *call) getWidget() error {
	appID, _, err := c.scope()
	if err != nil {
		return err
	}
	settings, ok := c.srv.people.widget(widgetKey{c.args[0], appID})
	if !ok {
		return notFound("The widget instance")
	}
	return c.value(http.StatusOK, map[string]any{"widgetInstance": map[string]any{"package": c.args[0], "settings": settings}})
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
	c.srv.people.setWidget(widgetKey{c.args[0], appID}, settings)
	return c.value(http.StatusOK, map[string]any{"widgetInstance": map[string]any{"package": c.args[0], "settings": settings}})
}

// widgetKey names a widget in an app.
type widgetKey struct {
	name  string
	appID int64
}

func (d *directory) widget(k widgetKey) (map[string]any, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s, ok := d.widgets[k]
	return s, ok
}

func (d *directory) setWidget(k widgetKey, settings map[string]any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.widgets == nil {
		d.widgets = make(map[widgetKey]map[string]any)
	}
	d.widgets[k] = settings
}
