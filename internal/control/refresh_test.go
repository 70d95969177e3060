package control

import (
	"context"
	"errors"
	"testing"
	"time"

	"penstock"
)

func (r *fakeRunner) Refresh(_ context.Context, f penstock.Refresh) (int, error) {
	return len(f.Tables), nil
}

func TestRefreshReachesTheStreamOfADatabase(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		_, r := b.active()
		f := penstock.Refresh{Tables: []penstock.TableName{{Name: "a"}, {Name: "b"}}}
		if n, err := b.sup.Refresh(t.Context(), "analytics", "app", f); n != 2 || err != nil {
			t.Errorf("refresh: %d, %v", n, err)
		}
		_, err := b.sup.Refresh(t.Context(), "analytics", "none", f)
		wantKind(t, err, penstock.KindNotFound, "no integration replicates into database none")
		_, err = b.sup.Refresh(t.Context(), "elsewhere", "app", f)
		wantKind(t, err, penstock.KindNotFound, "no integration replicates into database app")
		r.fail <- errors.New("it broke")
		b.after(time.Millisecond)
		_, err = b.sup.Refresh(t.Context(), "analytics", "app", f)
		wantKind(t, err, penstock.KindInvalidState, "not running")
	})
}

// TestStatementsWaitForTheStart: who asks while this process begins waits for that,
// and is not told that nothing replicates.
func TestStatementsWaitForTheStart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.active()
		b.stop()
		b.make()
		done := make(chan error, 2)
		f := penstock.Refresh{Tables: []penstock.TableName{{Name: "a"}}}
		go func() {
			_, err := b.sup.Refresh(t.Context(), "analytics", "app", f)
			done <- err
		}()
		go func() { done <- b.sup.AwaitStart(t.Context(), "analytics", "app") }()
		b.after(time.Second)
		select {
		case err := <-done:
			t.Fatalf("before the start: %v", err)
		default:
		}
		_, err := b.sup.Refresh(t.Context(), "analytics", "none", f)
		wantKind(t, err, penstock.KindNotFound, "no integration replicates into database none")
		b.start()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Errorf("after the start: %v", err)
		}
		b.stop()
		b.make()
		began := time.Now()
		_, err = b.sup.Refresh(t.Context(), "analytics", "app", f)
		wantKind(t, err, penstock.KindInvalidState, "not running")
		if d := time.Since(began); d < startPatience || d > startPatience+time.Second {
			t.Errorf("waited %s for what does not start", d)
		}
	})
}

// TestDiskFullIsMendedByWriting: once something has been written there is room.
func TestDiskFullIsMendedByWriting(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		full := &penstock.Error{Kind: penstock.KindFull, Code: penstock.ProblemDiskFull, Message: "no space"}
		r.fail <- full
		b.after(time.Second)
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(3 * time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemDiskFull) // nothing has been written since
		r = b.newest()
		r.mu.Lock()
		r.status.Transactions = 1
		r.mu.Unlock()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
	})
}
