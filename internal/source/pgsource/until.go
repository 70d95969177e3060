package pgsource

import "penstock"

// Until implements penstock.Stream. A transaction is covered by a position if
// its commit record begins before it.
func (s *stream) Until(p penstock.Position) {
	bound, plain := lsn(0), false
	if at, err := decodePosition(p); err == nil {
		bound, plain = at.lsn, at.anchor == (anchor{})
	}
	s.plain.Store(plain)
	s.until.Store(uint64(bound))
	s.feedback.ask()
	s.Wake()
}

// announced begins a transaction, or keeps it back if it is beyond the bound.
func (s *stream) announced(m beginMessage, c *penstock.Changes) {
	if bound := lsn(s.until.Load()); bound != 0 && m.final >= bound {
		s.held, s.ahead = true, m
	} else {
		s.begin(m, c)
	}
}

// begin begins a transaction.
func (s *stream) begin(m beginMessage, c *penstock.Changes) {
	c.Begin(m.commit)
	s.committed = m.commit
	s.inTx, s.split, s.ours, s.content, s.xid, s.final = true, false, false, false, m.xid, m.final
	s.tx++
}

// bounded reports, at a transaction boundary, whether the stream has come to
// the bound that Until has set; it moves on to the bound if that is later, and
// sets got then. A transaction that was kept back and may go on is begun.
func (s *stream) bounded(c *penstock.Changes, got *bool) bool {
	bound := lsn(s.until.Load())
	if s.held && (bound == 0 || s.ahead.final < bound) {
		s.held = false
		s.begin(s.ahead, c)
		return false
	}
	if bound == 0 {
		return false
	}
	if s.held && s.position.lsn < bound || s.plain.Load() && s.position.lsn == bound && s.barely != bound {
		s.barely = bound
		s.advance(bound, c)
		*got = true
	}
	return s.held || s.position.lsn >= bound
}

// pause waits at the bound, receiving nothing. The server is not to be blamed
// for its silence meanwhile.
func (s *stream) pause() error {
	s.feedback.listening.Store(false)
	defer s.feedback.listen()
	return s.feed.pause()
}
