//go:build !faults

package main

import "github.com/minos-os/minos-init/pkg/config"

// plantFault does nothing: only a build for the tests has faults.
func plantFault(config.Config) error { return nil }
