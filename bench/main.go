package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"penstock/bench/lab"
	"penstock/bench/question"
	"penstock/bench/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var r question.Request
	names := flag.String("q", "all", "the question: all, or of "+strings.Join(question.Names(), ", "))
	profiles := flag.String("profiles", "", "a folder for CPU profiles; taking them costs some speed")
	tmp := flag.String("tmp", "", "where to work, instead of the system's temporary folder")
	flag.StringVar(&r.Case, "case", "", "one case of the question")
	flag.StringVar(&r.Dir, "out", ".", "the folder that RESULTS.md and results/ are in")
	flag.BoolVar(&r.Append, "append", false, "add windows to those that there are, of the same case in the same setting")
	flag.BoolVar(&r.Scale.Quick, "quick", false, "small sizes, one window")
	flag.IntVar(&r.Scale.Windows, "windows", 0, "how often each arm is measured")
	draw := flag.Bool("draw", false, "measure nothing, write RESULTS.md anew")
	flag.Parse()

	if *draw {
		return report.Write(r.Dir, question.Asked(r.Scale))
	}
	var questions []*question.Question
	for _, n := range strings.Split(*names, ",") {
		q := question.Find(n)
		switch {
		case n == "all":
			questions = append(questions, question.All...)
		case q == nil:
			return fmt.Errorf("there is no question %q, but %s", n, strings.Join(question.Names(), ", "))
		default:
			questions = append(questions, q)
		}
	}
	env, err := lab.Open(*tmp, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	env.Profiles, env.Once = *profiles, r.Scale.Quick
	for _, q := range questions {
		if err = errors.Join(err, q.Measure(ctx, env, r)); ctx.Err() != nil {
			break
		}
	}
	return errors.Join(err, report.Write(r.Dir, question.Asked(r.Scale)))
}
