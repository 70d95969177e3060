package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chaosPlanFrom takes over what the environment says about a plan.
func chaosPlanFrom(t testing.TB, plan chaosPlan) chaosPlan {
	number := func(name string, otherwise uint64) uint64 {
		text := os.Getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	plan.seed = number("PENSTOCK_CHAOS_SEED", plan.seed)
	plan.rounds = int(number("PENSTOCK_CHAOS_ROUNDS", uint64(plan.rounds)))
	plan.major = int(number("PENSTOCK_CHAOS_MAJOR", uint64(plan.major)))
	if faults, ok := os.LookupEnv("PENSTOCK_CHAOS_FAULTS"); ok {
		plan.faults = strings.Split(faults, ",")
	}
	if loss := os.Getenv("PENSTOCK_CHAOS_LOSS"); loss != "" {
		plan.loss = loss
	}
	plan.still = plan.still || os.Getenv("PENSTOCK_CHAOS_STILL") == "1"
	return plan
}

// TestChaos is a short run from a fixed seed and one from a random one; or one
// from PENSTOCK_CHAOS_SEED.
func TestChaos(t *testing.T) {
	t.Parallel()
	if os.Getenv("PENSTOCK_CHAOS_SEED") != "" {
		runChaos(t, chaosPlanFrom(t, chaosPlan{rounds: 3}))
		return
	}
	for _, seed := range []uint64{1, rand.Uint64N(1e9)} {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			runChaos(t, chaosPlanFrom(t, chaosPlan{seed: seed, rounds: 1}))
		})
	}
}

// TestChaosLost is the same with history lost at the end of each round.
func TestChaosLost(t *testing.T) {
	t.Parallel()
	runChaos(t, chaosPlanFrom(t, chaosPlan{seed: rand.Uint64N(1e9), rounds: 1, loss: "any"}))
}

// TestOrderEntry has the shop's mix instead of a schema that is drawn.
func TestOrderEntry(t *testing.T) {
	t.Parallel()
	soaking(t)
	runOrders(t, chaosPlanFrom(t, chaosPlan{rounds: 3}))
}

// TestPgbench has pgbench.
func TestPgbench(t *testing.T) {
	t.Parallel()
	soaking(t)
	runPgbench(t, chaosPlanFrom(t, chaosPlan{rounds: 3}))
}

// soaking skips what runs in a soak only, or from a seed that is given.
func soaking(t *testing.T) {
	if os.Getenv("PENSTOCK_CHAOS_SEED") == "" {
		t.Skip("SKIPPED: a part of make soak; PENSTOCK_CHAOS_SEED=1 has it alone")
	}
}

// TestSoak runs seed after seed, for as long as PENSTOCK_SOAK says.
func TestSoak(t *testing.T) {
	limit, err := time.ParseDuration(os.Getenv("PENSTOCK_SOAK"))
	if err != nil {
		t.Skip("SKIPPED: PENSTOCK_SOAK does not say how long: make soak")
	}
	first := chaosPlanFrom(t, chaosPlan{seed: rand.Uint64N(1e9), rounds: 3})
	for seed, began := first.seed, time.Now(); time.Since(began) < limit; seed++ {
		plan := first
		plan.seed = seed
		run := func(name string, f func(testing.TB, chaosPlan)) {
			if time.Since(began) < limit {
				t.Run(fmt.Sprint(name, " seed=", seed), func(t *testing.T) { f(t, plan) })
			}
		}
		run("chaos", runChaos)
		run("lost", func(t testing.TB, plan chaosPlan) {
			plan.loss = "any"
			runChaos(t, plan)
		})
		run("orders", runOrders)
		run("pgbench", runPgbench)
	}
}
