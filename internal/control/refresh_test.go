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
