//go:build tools

// Package main pins Loki for `go build github.com/grafana/loki/v3/cmd/loki`: `go install` refuses a module with replaces,
// and these are Loki's own, without the one that points into its repository.
package main

import _ "github.com/grafana/loki/v3/pkg/loki"
