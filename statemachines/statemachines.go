// Package statemachines is the state machines, as they are deployed.
package statemachines

import "embed"

// Definitions holds one file a machine: <name>.asl.json.
//
//go:embed *.asl.json
var Definitions embed.FS
