package wire

// This file knows the settings of Fliplet's widgets, and where a session says who has logged in,
// as public clients read them.

// The packages of widgets.
const (
	ChatWidget = "com.fliplet.chat"
	PushWidget = "com.fliplet.push-notifications"
)

// At is the value at a path of keys, nil if there is none.
func At(v any, path ...string) any {
	for _, key := range path {
		m, _ := v.(M)
		v = m[key]
	}
	return v
}

// WidgetSettings are those in the answer for an instance of a widget; ok is false if there is
// none. A widget that was never set up has none.
func WidgetSettings(answer any) (settings M, ok bool) {
	instance, _ := At(answer, "widgetInstance").(M)
	settings, _ = instance["settings"].(M)
	return settings, instance != nil
}

// PushOn reads the settings of a push notifications widget. The widget sets "configured", and a
// flag for each service that is set up.
func PushOn(settings M) bool {
	if v, ok := settings["configured"]; ok {
		return Bool(v)
	}
	return Bool(settings["apn"]) || Bool(settings["gcm"]) || Bool(settings["wns"])
}

// SessionRow is the row of the data source that the person of a session has logged in with; nil if
// there is none.
func SessionRow(answer any) M {
	session, _ := At(answer, "session").(M)
	if row, ok := At(session, "entries", "dataSource", "data").(M); ok && len(row) > 0 {
		return row
	}
	for _, account := range Objects(At(session, "accounts", "dataSource")) {
		if row, ok := account["data"].(M); ok && len(row) > 0 {
			return row
		}
	}
	return nil
}
