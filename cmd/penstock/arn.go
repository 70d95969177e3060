package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"penstock/internal/app"
	"penstock/internal/config"
)

func newARN(f *flags) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "arn [NAME]",
		Short: "Print the ARN of a source, a target or a KMS key, or of all",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("penstock arn takes one name at the most")}
			}
			if err := checkOutput(output); err != nil {
				return err
			}
			cfg, err := config.LoadWithoutSecrets(f.config)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return printARNs(c, cfg, output)
			}
			arn := ""
			if s := cfg.Source(args[0]); s != nil {
				arn = cfg.SourceARN(s)
			} else if t := cfg.Target(args[0]); t != nil {
				arn = cfg.TargetARN(t)
			} else if arns := app.KeyARNs(cfg); arns[args[0]] != "" {
				arn = arns[args[0]]
			}
			if arn == "" {
				return fmt.Errorf("%s has no source or target named %s, nor a KMS key", f.config, args[0])
			}
			fmt.Fprintln(c.OutOrStdout(), arn)
			return nil
		},
	}
	outputFlag(c, &output)
	return c
}

type namedARN struct{ Name, Is, ARN string }

func printARNs(c *cobra.Command, cfg *config.Config, output string) error {
	all := []namedARN{}
	for i := range cfg.Sources {
		all = append(all, namedARN{cfg.Sources[i].Name, "source", cfg.SourceARN(&cfg.Sources[i])})
	}
	for i := range cfg.Targets {
		all = append(all, namedARN{cfg.Targets[i].Name, "target", cfg.TargetARN(&cfg.Targets[i])})
	}
	for i, arns := 0, app.KeyARNs(cfg); i < len(cfg.KMSKeys); i++ {
		all = append(all, namedARN{cfg.KMSKeys[i].Name, "key", arns[cfg.KMSKeys[i].Name]})
	}
	if output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(all)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, n := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", n.Name, n.Is, n.ARN)
	}
	return w.Flush()
}
