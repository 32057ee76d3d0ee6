package wire

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAShownDefinitionHasNoCredentialAtAnyDepth(t *testing.T) {
	t.Parallel()
	raw := json.RawMessage(`{"encryptionKey":{"k":"x"},"inviteCode":7,"ENCRYPTIONKEY":"x","group":{"public":true,"n":1.0},` +
		`"metadata":{"a":[{"flUserToken":"x","auth_token":"x","keep":9007199254740993}]},"participants":["u"],"order":{"b":1,"a":2}}`)
	d := ParseDefinition(raw)
	assert.JSONEq(t, `{"group":{"public":true,"n":1.0},"metadata":{"a":[{"keep":9007199254740993}]},"participants":["u"],"order":{"b":1,"a":2}}`, string(d.Shown().JSON()))
	assert.Contains(t, string(d.Shown().JSON()), `"order":{"b":1,"a":2}`, "untouched fields stay byte by byte")
	assert.Equal(t, string(ParseDefinition(raw).JSON()), string(d.JSON()), "the definition itself stays whole")
}
