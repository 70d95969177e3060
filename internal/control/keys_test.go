package control

import (
	"strings"
	"testing"
	"time"

	"penstock"
)

func TestCreateWithAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.request("one")
	r.KMSKeyID, r.EncryptionContext = "alias/app", map[string]string{"dept": "sales"}
	in, err := b.svc.Create(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := appKey + "map[aws:redshift:integration:arn:" + in.ARN + " aws:servicename:id:Redshift dept:sales]"
	if in.KMSKeyID != appKey || string(in.WrappedKey) != want || len(in.EncryptionContext) != 1 {
		t.Errorf("the key is %s, the data key %q, the context %v", in.KMSKeyID, in.WrappedKey, in.EncryptionContext)
	}
	if b.get(in.ID).KMSKeyID != in.KMSKeyID || string(b.get(in.ID).WrappedKey) != want {
		t.Error("the store has another key")
	}
	// Names of keys never change: users write them down.
	s := b.cfg.Scope
	for name, want := range map[string]string{"": "ba6404a2-3217-57c3-a754-d6362042c303", "app": "1ca98f1b-89c9-5984-b3a6-b8de878a1c62"} {
		if got := s.KeyID(name); got != want || s.KeyARN(got) != "arn:aws:kms:us-east-1:123456789012:key/"+want {
			t.Errorf("KeyID(%q) is %s, want %s", name, got, want)
		}
	}
	if arn := s.AliasARN("alias/app"); arn != "arn:aws:kms:us-east-1:123456789012:alias/app" {
		t.Error(arn)
	}
}

// TestKeyDisabled: without its key an integration needs attention, and it goes
// on by itself once the key is there again.
func TestKeyDisabled(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		b.stop()
		disabled := &penstock.Error{Kind: penstock.KindKeyNotAccessible, Code: penstock.ProblemKeyNotAccessible,
			Message: "The KMS key app is disabled", Mend: "enable it"}
		usable := b.cfg.Runners
		b.cfg.Runners = func(in penstock.Integration, db penstock.DestinationDatabase) (Runner, error) {
			if b.refuses() {
				return nil, disabled
			}
			return usable(in, db)
		}
		b.setRefuse(disabled)
		b.make()
		b.start()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemKeyNotAccessible)
		if p := b.get(in.ID).Problems[0]; !strings.Contains(p.Message, "disabled") || p.Mend != "enable it" || p.Database != "" {
			t.Errorf("the problem is %+v", p)
		}
		if events := b.events(); !strings.HasSuffix(events, "0008") {
			t.Errorf("the events are %s", events)
		}
		b.setRefuse(nil)
		b.after(time.Minute)
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(time.Minute)
		b.want(in.ID, penstock.StatusActive)
	})
}

// TestOldIntegrationGetsAKey: one that was created before there were data keys
// gets one when it is looked after.
func TestOldIntegrationGetsAKey(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		b.stop()
		if _, err := b.cfg.Store.Update(t.Context(), in.ID, func(in *penstock.Integration) error { in.WrappedKey = nil; return nil }); err != nil {
			t.Fatal(err)
		}
		b.make()
		b.start()
		b.after(time.Second)
		if got := b.get(in.ID); string(got.WrappedKey) != string(in.WrappedKey) {
			t.Errorf("the data key is %q", got.WrappedKey)
		}
		if r := b.newest(); len(r.in.WrappedKey) == 0 {
			t.Error("the runner was made without the key")
		}
	})
}

func (b *bench) refuses() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refuse != nil
}
