package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"penstock"
)

// verifyLine is a line of the answer to POST /verify: each has one of these.
type verifyLine struct {
	Progress *VerifyProgress `json:",omitempty"`
	Report   *VerifyReport   `json:",omitempty"`
	Error    string          `json:",omitempty"`
	Request  bool            `json:",omitempty"` // the error is about the request
}

// progressEvery is how often a client is told how far the work is.
const progressEvery = 250 * time.Millisecond

// serveVerify answers with a JSON object per line, the last of which is the
// report or an error. It ends when the client goes away, or ctx ends.
func (a *App) serveVerify(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	var request VerifyRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// The server's limit on reading a request would end this after a minute.
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		a.log.Warn("verification may be cut short", "error", err)
	}
	until, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()

	w.Header().Set("Content-Type", "application/jsonl")
	var mu sync.Mutex
	send := func(l verifyLine) {
		mu.Lock()
		defer mu.Unlock()
		if json.NewEncoder(w).Encode(l) == nil {
			_ = control.Flush()
		}
	}
	send(verifyLine{Progress: &VerifyProgress{}}) // so that the client knows that somebody works
	var sent time.Time
	report, err := a.Verify(until, request, func(p VerifyProgress) {
		if time.Since(sent) >= progressEvery {
			sent = time.Now()
			send(verifyLine{Progress: &p})
		}
	})
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("the server is stopping")
		}
		kind := penstock.KindOf(err)
		send(verifyLine{Error: err.Error(), Request: kind == penstock.KindIntegrationNotFound || kind == penstock.KindInvalid})
		return
	}
	send(verifyLine{Report: report})
}

// FetchVerification has the server that runs on a data folder verify an
// integration. KindUnreachable if none runs, KindInvalid if the request is wrong.
func FetchVerification(ctx context.Context, dataDir string, r VerifyRequest, progress func(VerifyProgress)) (*VerifyReport, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	reply, err := askServer(ctx, dataDir, http.MethodPost, "/verify", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", reply.Status)
	}
	for lines := json.NewDecoder(reply.Body); ; {
		var l verifyLine
		if err := lines.Decode(&l); err != nil {
			return nil, penstock.Errorf(penstock.KindUnreachable, "the server went away: %w", err)
		}
		switch {
		case l.Report != nil:
			return l.Report, nil
		case l.Error != "" && l.Request:
			return nil, penstock.Errorf(penstock.KindInvalid, "%s", l.Error)
		case l.Error != "":
			return nil, errors.New(l.Error)
		case l.Progress != nil:
			progress(*l.Progress)
		}
	}
}
