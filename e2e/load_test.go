package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

// TestAPIUnderLoad measures DescribeIntegrations with 100 integrations: how
// long it takes at 200 requests per second, and whether 50,000 requests leave
// memory or goroutines behind. It takes minutes and asserts no times, so it
// runs only if PENSTOCK_TEST_LOAD is 1.
func TestAPIUnderLoad(t *testing.T) {
	if os.Getenv("PENSTOCK_TEST_LOAD") != "1" {
		t.Skip("it is run by hand: PENSTOCK_TEST_LOAD=1")
	}
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	profiles := freeAddress(t)
	var sources, targets strings.Builder
	for i := range 20 {
		fmt.Fprintf(&sources, "  s%d: {url: \"postgres://app@127.0.0.1:1/postgres\"}\n", i)
	}
	for i := range 5 {
		fmt.Fprintf(&targets, "  t%d: {}\n", i)
	}
	p.edit(t, "sources:\n", "memory: 1GiB\ncreating_limit: 1s\ndebug: {pprof: "+profiles+"}\nsources:\n"+sources.String(), "targets:\n", "targets:\n"+targets.String(),
		"api: {", "log: {level: warn}\napi: {")
	p.start(t)
	client := p.client(secretKey)
	for i := range 100 {
		in := &rds.CreateIntegrationInput{
			IntegrationName: aws.String(fmt.Sprintf("i-%d", i)), DataFilter: aws.String("include: a.*.*"),
			SourceArn: aws.String(p.arn(t, fmt.Sprintf("s%d", i%20))), TargetArn: aws.String(p.arn(t, fmt.Sprintf("t%d", i/20))),
		}
		await(t, "an integration to be created", func() bool {
			_, err := client.CreateIntegration(t.Context(), in)
			return err == nil
		})
	}

	body := []byte("Action=DescribeIntegrations&Version=2014-10-31")
	hash := sha256.Sum256(body)
	sum := hex.EncodeToString(hash[:])
	request := func() (*http.Request, error) {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+p.api+"/", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		c := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
		return r, v4.NewSigner().SignHTTP(context.Background(), c, r, sum, "rds", region, time.Now())
	}
	clients := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	once := func() error {
		r, err := request()
		if err != nil {
			return err
		}
		reply, err := clients.Do(r)
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		text, err := io.ReadAll(reply.Body)
		if err == nil && (reply.StatusCode != 200 || bytes.Count(text, []byte("<IntegrationArn>")) != 100) {
			err = fmt.Errorf("%d %.500s", reply.StatusCode, text)
		}
		return err
	}
	paced := func(n int, rate float64) []time.Duration {
		t.Helper()
		times := make([]time.Duration, n)
		var wg sync.WaitGroup
		began := time.Now()
		for i := range n {
			due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			time.Sleep(time.Until(due))
			wg.Go(func() {
				if err := once(); err != nil {
					t.Error(err)
				}
				times[i] = time.Since(due) // from when it was due, so that waiting counts
			})
		}
		wg.Wait()
		slices.Sort(times)
		return times
	}
	paced(400, 200) // to warm up
	times := paced(6000, 200)
	t.Logf("200 requests/s, 100 integrations: p50 %v, p99 %v, max %v", times[len(times)/2], times[len(times)*99/100], times[len(times)-1])

	look := func() (rss, goroutines int) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		rss, _ = strconv.Atoi(string(regexp.MustCompile(`VmRSS:\s+(\d+)`).FindSubmatch(status)[1]))
		reply, err := http.Get("http://" + profiles + "/debug/pprof/goroutine?debug=1")
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		fmt.Fscanf(reply.Body, "goroutine profile: total %d", &goroutines)
		return rss, goroutines
	}
	rss, goroutines := look()
	t.Logf("before: RSS %d KiB, %d goroutines", rss, goroutines)
	for range 5 {
		began := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 2500 {
					if err := once(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		rss, goroutines := look()
		t.Logf("10,000 requests more in %v: RSS %d KiB, %d goroutines", time.Since(began).Round(time.Millisecond), rss, goroutines)
	}
}
