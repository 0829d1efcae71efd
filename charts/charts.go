// Package charts holds the charts that Swell itself ships.
package charts

import (
	"embed"
	"io/fs"

	"github.com/swell-sh/swell/shared/chart"
)

//go:embed all:demo all:relay
var files embed.FS

// Demo is the archive of the demo application's chart.
func Demo() ([]byte, error) { return pack("demo") }

// Relay is the archive of the relay's chart.
func Relay() ([]byte, error) { return pack("relay") }

func pack(name string) ([]byte, error) {
	folder, err := fs.Sub(files, name)
	if err != nil {
		return nil, err
	}
	return chart.Pack(folder)
}
