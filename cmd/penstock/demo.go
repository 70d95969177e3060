package main

import (
	"os"

	"github.com/spf13/cobra"

	"penstock/internal/demo"
)

func newDemo() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show an integration from creation to deletion, on a throwaway PostgreSQL",
		Long:  "Demo needs the programs of a PostgreSQL server on this machine (Debian: postgresql), and leaves nothing behind.",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			o.Out = c.OutOrStdout()
			if info, err := os.Stdout.Stat(); err == nil {
				o.Styled = info.Mode()&os.ModeCharDevice != 0
			}
			return demo.Run(c.Context(), o)
		},
	}
	c.Flags().IntVar(&o.Orders, "orders", 200_000, "orders in the shop before the integration")
	c.Flags().DurationVar(&o.Writing, "writing", 0, "how long to keep writing (default 8s)")
	return c
}
