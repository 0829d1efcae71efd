// Package id makes the ids of everything that Swell stores: opaque, unique, and sorting by the time they were made.
package id

import "github.com/google/uuid"

// New returns a new id.
func New() string { return uuid.Must(uuid.NewV7()).String() }
