package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A worstInput costs farmc compile the most time and memory: keys are repeated up to the bounds of farms.d(5), or
// beyond one.
type worstInput struct {
	name  string
	fault string // a part of the fault that names the bound; "" if the input fits
	files func() map[string]string
}

// mostMemory is the bound for any input.
const mostMemory = 1 << 30

// worst compiles each of the worst inputs with a text in its name once, and prints its time and memory. An error is
// memory above the bound, a fault that is missing, or a fault of an input that fits. Time is no error, as it depends on
// the machine.
func worst(farmc, only string) error {
	dir, err := os.MkdirTemp("", "farmc-worst-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%-76s %8s %9s %7s\n", "input", "time", "processor", "memory")
	var errs []error
	for i, w := range worstInputs {
		if !strings.Contains(w.name, only) {
			continue
		}
		if err := w.measure(farmc, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	return errors.Join(errs...)
}

// measure writes the input to a new directory, compiles it, and removes the directory.
func (w worstInput) measure(farmc, dir string) error {
	defer os.RemoveAll(dir)
	if err := writeFiles(dir, w.files()); err != nil {
		return err
	}
	return w.compile(farmc, dir)
}

// compile measures farmc compile, and prints a line.
func (w worstInput) compile(farmc, dir string) error {
	cmd := exec.Command(farmc, "compile", "--dir", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return err
	}
	c := costOf(cmd, time.Since(began))
	fmt.Printf("%-76s %6.1f s %7.1f s %4d MB\n", w.name, c.Time.Seconds(), (c.User + c.System).Seconds(), c.Memory>>20)
	return errors.Join(w.judge(stderr.String(), err), judgeMemory(c))
}

func judgeMemory(c cost) error {
	if c.Memory > mostMemory {
		return fmt.Errorf("%d MB of memory, at most %d", c.Memory>>20, mostMemory>>20)
	}
	return nil
}

// judge compares the faults of a compile with the one that the input should have.
func (w worstInput) judge(faults string, err error) error {
	switch {
	case w.fault == "" && err != nil:
		return fmt.Errorf("%w, want no fault: %.500s", err, faults)
	case w.fault != "" && (err == nil || !strings.Contains(faults, w.fault)):
		return fmt.Errorf("no fault with %q: %v: %.500s", w.fault, err, faults)
	}
	return nil
}

func writeFiles(dir string, files map[string]string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
