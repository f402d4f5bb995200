package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A watchProcess is a running farmc watch.
type watchProcess struct {
	cmd    *exec.Cmd
	output chan string // its lines
	pipe   *io.PipeWriter
}

// startWatch starts farmc watch, and returns once it has loaded the farms.
func (b *bench) startWatch(args ...string) (*watchProcess, error) {
	os.Remove(b.path("costs"))
	r, w := io.Pipe()
	p := &watchProcess{output: make(chan string, 100), pipe: w}
	p.cmd = exec.Command(b.farmc, append([]string{"watch"}, args...)...)
	p.cmd.Env = append(os.Environ(), costFile+"="+b.path("costs"))
	p.cmd.Stdout, p.cmd.Stderr = w, w
	go p.read(r)
	if err := b.lab.Balancer.Do(p.cmd.Start); err != nil {
		return nil, err
	}
	if err := p.await(); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// read takes the lines that nothing waits for, so that the process never waits.
func (p *watchProcess) read(r io.Reader) {
	defer close(p.output)
	for scan := bufio.NewScanner(r); scan.Scan(); {
		select {
		case p.output <- scan.Text():
		default:
		}
	}
}

// stop ends the process. A second call does nothing.
func (p *watchProcess) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error if it has ended
	_ = p.cmd.Wait()
	p.pipe.Close()
}

// await waits until farmc reports a load, or that there is nothing to do.
func (p *watchProcess) await() error {
	limit := time.After(timeLimit)
	for {
		select {
		case line, ok := <-p.output:
			switch {
			case !ok:
				return fmt.Errorf("farmc watch has ended")
			case strings.Contains(line, "loaded") || strings.Contains(line, "nothing to do"):
				return nil
			case strings.Contains(line, "error"):
				return fmt.Errorf("farmc watch: %s", line)
			}
		case <-limit:
			return fmt.Errorf("farmc watch reports no load within %s", timeLimit)
		}
	}
}
