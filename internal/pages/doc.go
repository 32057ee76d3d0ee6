// Package pages tells whether there may be rows behind a page, and how many rows the next
// page should have. It knows nothing of rows.
package pages
