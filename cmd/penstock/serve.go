package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"penstock/internal/app"
	"penstock/internal/config"
	"penstock/internal/failpoint"
)

func newServe(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server until it is told to stop",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(f.config)
			if err != nil {
				return err
			}
			log := newLogger(c.ErrOrStderr(), cfg.Log)
			if points := os.Getenv(failpoint.Env); points != "" {
				if err := failpoint.Arm(points); err != nil {
					return err
				}
				log.Warn("failpoints are armed: this is for tests only", "points", points)
			}
			a, err := app.New(c.Context(), cfg, app.Options{Version: version, Logger: log})
			if c.Context().Err() != nil && errors.Is(err, context.Canceled) {
				return nil // told to stop while it was starting
			}
			if err != nil {
				return err
			}
			return a.Run(c.Context())
		},
	}
}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
