module github.com/fliplet/fliplet-chat-go/examples/archive

go 1.26.0

toolchain go1.26.8

replace github.com/fliplet/fliplet-chat-go => ../..

replace github.com/fliplet/fliplet-chat-go/storage/sqlstore => ../../storage/sqlstore

require (
	github.com/fliplet/fliplet-chat-go v0.0.0-00010101000000-000000000000
	github.com/fliplet/fliplet-chat-go/storage/sqlstore v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
	modernc.org/sqlite v1.62.0
)

require (
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/go-resty/resty/v2 v2.17.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	modernc.org/libc v1.80.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
