//go:build !linux

package testdb

import "os/exec"

// account is whom the server runs as: always ourselves here.
type account struct{}

func unprivileged() (*account, error) { return nil, nil }

func (a *account) own(string) error { return nil }

func (a *account) attributes(*exec.Cmd) {}

// start starts cmd and returns a channel that is closed when it ended. Only on
// Linux does the process end with us if we end without a call of Close.
func start(cmd *exec.Cmd) (<-chan struct{}, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return done, nil
}
