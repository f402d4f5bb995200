package main

import "io"

// output is standard output. It keeps the first error of a write, such as a full disk, so that the exit status tells
// it.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if o.err == nil {
		o.err = err
	}
	return n, err
}
