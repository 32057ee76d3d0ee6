// Package datasource is a thin typed client of the Fliplet Data Sources REST API.
package datasource
