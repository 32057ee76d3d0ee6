package flipletd_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTwoPeopleTalk(t *testing.T) {
	t.Parallel()
	k := start(t)
	contacts := k.source(m{"name": "Contacts", "entries": []any{
		m{"Email": "jane@x.com", "flUserId": "u-jane", "flUserToken": "t-jane"},
		m{"Email": "bob@x.com", "flUserId": "u-bob", "flUserToken": "t-bob"},
		m{"Email": "eve@x.com", "flUserId": "u-eve", "flUserToken": "t-eve"},
	}})
	require.Len(t, k.Rows(contacts), 3)

	made := k.do("POST", "/v1/data-sources", `{"appId":1,"type":"conversation","name":"Talk","definition":{"participants":["u-jane","u-bob"],"big":9007199254740993}}`).ok(201)
	conversation := int64(made["dataSource"].(m)["id"].(float64))

	sent := k.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data?flUserToken=t-jane", conversation),
		`{"body":"hello","fromUserId":"u-jane","readBy":["u-jane"]}`).ok(200)
	require.Contains(t, sent, "deletedAt")
	require.Nil(t, sent["deletedAt"])

	unread := `{"flUserToken":"t-bob","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["u-bob"]}}}}}`
	require.JSONEq(t, `{"entries":1,"count":1}`, k.do("POST", "/v1/data-sources/data", unread).body)
	k.do("POST", fmt.Sprintf("/v1/data-sources/%d/commit", conversation),
		fmt.Sprintf(`{"append":true,"extend":true,"returnEntries":false,"runHooks":[],"entries":[{"id":%.0f,"data":{"readBy":["u-jane","u-bob"]}}]}`, sent["id"])).ok(200)
	require.JSONEq(t, `{"entries":0,"count":0}`, k.do("POST", "/v1/data-sources/data", unread).body)

	require.Len(t, k.do("POST", "/v1/data-sources/data", `{"flUserToken":"t-jane"}`).ok(200)["entries"], 1)
	require.Empty(t, k.do("POST", "/v1/data-sources/data", `{"flUserToken":"t-eve"}`).ok(200)["entries"])
	k.do("POST", "/v1/data-sources/data", `{"flUserToken":"gone"}`).refused(403)
}
