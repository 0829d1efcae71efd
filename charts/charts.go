// Package charts holds the charts that Swell itself ships.
package charts

import (
	"embed"
	"io/fs"

	"github.com/swell-sh/swell/shared/chart"
)

//go:embed all:demo
var files embed.FS

// Demo is the archive of the demo application's chart.
func Demo() ([]byte, error) {
	demo, err := fs.Sub(files, "demo")
	if err != nil {
		return nil, err
	}
	return chart.Pack(demo)
}
