package peer

import (
	"context"
	"net"
	"sync"
	"time"

	"farmc/cmd/internal/pause"
)

// pauseAfterError is the time until the next connection is taken after an error, such as too many open files.
const pauseAfterError = 100 * time.Millisecond

// Serve takes connections of unix sockets until ctx is done. It then closes the listener, and waits until the
// connections that were taken are served. Each one is served in a goroutine of its own, and closed. While most of them
// are served, refuse answers further ones.
func Serve(ctx context.Context, l net.Listener, most int, serve, refuse func(*net.UnixConn)) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, most)
	for ctx.Err() == nil {
		accepted, err := l.Accept()
		if err != nil {
			pause.For(ctx, pauseAfterError)
			continue
		}
		c := accepted.(*net.UnixConn)
		select {
		case slots <- struct{}{}:
			all.Go(func() {
				defer func() { c.Close(); <-slots }()
				serve(c)
			})
		default:
			refuse(c)
			c.Close()
		}
	}
}
