module github.com/fliplet/fliplet-chat-go/relay/watermillrelay

go 1.26.0

toolchain go1.26.8

replace github.com/fliplet/fliplet-chat-go => ../..

require (
	github.com/ThreeDotsLabs/watermill v1.5.1
	github.com/fliplet/fliplet-chat-go v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/go-resty/resty/v2 v2.17.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/lithammer/shortuuid/v3 v3.0.7 // indirect
	github.com/oklog/ulid v1.3.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
