// Package config reads the configuration file: one typed struct, defaults,
// and one error that names every fault with its line and its path.
//
// It decides what a valid file is and nothing else: it opens no connection and
// listens on nothing. Relative paths in a file are relative to its folder.
//
// Keys that are reserved for a later version are refused by name, so that a
// setting never stands in a file without having its effect.
//
// Start reading at Config in config.go; sections.go has one function per
// section of the file.
package config
