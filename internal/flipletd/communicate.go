package flipletd

import "net/http"

// What the Communicate API is asked to send is checked and counted, and goes nowhere.

// sendEmail takes one e-mail.
func (c *call) sendEmail() error { return c.sendOne(checkEmail) }

// sendEmails takes several, or none when one of them makes no sense.
func (c *call) sendEmails() error { return c.sendMany("emails", checkEmail) }

// sendSMS takes one text message.
func (c *call) sendSMS() error { return c.sendOne(checkSMS) }

// sendSMSes takes several, or none when one of them makes no sense.
func (c *call) sendSMSes() error { return c.sendMany("sms", checkSMS) }

func checkEmail(fields map[string]any) error {
	to, _ := fields["to"].([]any)
	for _, e := range to {
		one, _ := e.(map[string]any)
		if email, _ := one["email"].(string); email == "" {
			return badRequest("to must hold objects with an email.")
		}
	}
	if len(to) == 0 {
		return badRequest("to must be an array of recipients.")
	}
	return nil
}

func checkSMS(fields map[string]any) error {
	data, _ := fields["data"].(map[string]any)
	for _, name := range []string{"to", "body"} {
		if text, _ := data[name].(string); text == "" {
			return badRequest("data.%s must be a text that is not empty.", name)
		}
	}
	return nil
}

func (c *call) sendOne(check func(map[string]any) error) error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	if err := check(fields); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{})
}

func (c *call) sendMany(name string, check func(map[string]any) error) error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	list, ok := fields[name].([]any)
	if !ok || len(list) == 0 {
		return badRequest("%s must be an array that is not empty.", name)
	}
	for _, e := range list {
		one, _ := e.(map[string]any)
		if err := check(one); err != nil {
			return err
		}
	}
	return c.value(http.StatusOK, map[string]any{})
}
