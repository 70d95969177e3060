package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between Penstock and a source and breaks what goes through it.
type proxy struct {
	listener net.Listener

	mu      sync.Mutex
	to      string
	flowing *sync.Cond // signalled when stalled ends
	stalled bool
	refuse  bool
	conns   map[net.Conn]bool
	seen    int // connections so far
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to, conns: map[net.Conn]bool{}}
	p.flowing = sync.NewCond(&p.mu)
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.cut()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		to := p.to
		p.mu.Unlock()
		server, err := net.Dial("tcp", to)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		refuse := p.refuse
		p.seen++
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		if refuse {
			client.Close()
			server.Close()
		}
		go p.copy(client, server)
		go p.copy(server, client)
	}
}

// copy passes bytes on until one side ends.
func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for p.stalled && p.conns[from] {
			p.flowing.Wait()
		}
		p.mu.Unlock()
		if _, werr := to.Write(buffer[:n]); werr != nil || err == io.EOF || err != nil {
			return
		}
	}
}

// redirect has new connections lead to another server.
func (p *proxy) redirect(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to
}

// cut breaks all connections, in the middle of whatever they carry.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	}
	clear(p.conns)
	p.flowing.Broadcast()
}

// stall makes connections carry nothing, without ending them, or lets them
// carry again.
func (p *proxy) stall(stalled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = stalled
	p.flowing.Broadcast()
}

// shut makes new connections end at once, or lets them in again.
func (p *proxy) shut(shut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = shut
}

// connections returns how many there have been.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}
