package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"penstock/internal/config"
)

// version is set when the program is built.
var version = "unknown"

// Exit codes: 0 is fine.
const (
	exitFailed = 1 // something was found, or failed
	exitUsage  = 2 // the command line or the configuration is wrong
)

// errFound ends a command that has said already what it found.
var errFound = errors.New("found something")

// usageError is a mistake in the command line.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var faults *config.Error
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFound):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "penstock: %v\nRun 'penstock --help' for usage.\n", err)
		return exitUsage
	case errors.As(err, &faults):
		fmt.Fprintf(stderr, "penstock: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "penstock: %v\n", err)
	return exitFailed
}

// flags are those that every command has.
type flags struct{ config string }

func newRoot() *cobra.Command {
	f := &flags{}
	root := &cobra.Command{
		Use:   "penstock",
		Short: "Zero-ETL integrations on your own machines",
		Long: "Penstock carries the rows committed in PostgreSQL to an embedded analytical warehouse,\n" +
			"continuously, behind the integration API of Amazon RDS.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().StringVar(&f.config, "config", "penstock.yaml", "configuration `file`")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(f), newCheck(f), newARN(f), newFilter(f), newVerify(f), newDemo(), newVersion())
	return root
}

// noArguments is cobra.NoArgs with an error that counts as wrong usage.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments", c.CommandPath())}
	}
	return nil
}

// outputFlag adds --output to a command whose output is a table.
func outputFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "output", "text", "`form` of the output: text or json")
}

func checkOutput(form string) error {
	if form != "text" && form != "json" {
		return usageError{fmt.Errorf("--output is text or json, not %q", form)}
	}
	return nil
}
