package nft

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// A Refusal is the error for a script that nft or the kernel does not accept.
type Refusal struct {
	Complaints []Complaint // in the order in which nft prints them
	Output     string      // nft's standard error, at most 1 MiB
}

// A Complaint is one error message or warning of nft.
type Complaint struct {
	Line      int // of the script, from 1; 0 if nft names no place in the script
	Column    int // from 1, in bytes; a tab counts one
	EndColumn int // of the last byte; if the statement spans lines it counts in another line, so it can be below Column
	Warning   bool
	Message   string // in nft's words
	Excerpt   string // the line, and a line that underlines the wrong part (^^^) and the part in conflict with it (~~~)
}

// A Crash is the error for an nft that was killed by a signal.
type Crash struct {
	Signal syscall.Signal
	Tail   string // the end of its standard error, on one line; mostly a failed assertion
}

func (r *Refusal) Error() string {
	if len(r.Complaints) == 0 {
		return "nft refuses the script: " + strings.TrimSpace(r.Output)
	}
	first := r.Complaints[0].String()
	if more := len(r.Complaints) - 1; more > 0 {
		return fmt.Sprintf("nft refuses the script: %s (and %d more)", first, more)
	}
	return "nft refuses the script: " + first
}

// String gives the complaint as LINE:COLUMN: MESSAGE, or the message alone if nft names no place in the script.
func (c Complaint) String() string {
	if c.Line == 0 {
		return c.Message
	}
	return fmt.Sprintf("%d:%d: %s", c.Line, c.Column, c.Message)
}

func (c *Crash) Error() string {
	if c.Tail == "" {
		return fmt.Sprintf("nft crashed (%v)", c.Signal)
	}
	return fmt.Sprintf("nft crashed (%v): %s", c.Signal, c.Tail)
}

// endsWith tells whether any complaint ends with the words. nft puts the kernel's error at the end of its message.
func (r *Refusal) endsWith(words string) bool {
	for _, c := range r.Complaints {
		if strings.HasSuffix(c.Message, words) {
			return true
		}
	}
	return false
}

// complaintHead matches the first line of a complaint. It begins with a place in the script or in an included file,
// with "internal:0:0-0", or with "netlink" if the kernel's error belongs to no statement (nftables, src/erec.c).
var complaintHead = regexp.MustCompile(`^(?:(.+?):(\d+):(\d+)-(\d+)|netlink): (Error|Warning): (.*)$`)

// underline matches the line below an excerpt.
var underline = regexp.MustCompile(`^[\t ]*[~^][~^\t ]*$`)

// newRefusal parses nft's standard error. An excerpt is skipped before the next complaint is looked for, because it is
// text of the script, which may look like a complaint.
func newRefusal(stderr string) *Refusal {
	r := &Refusal{Output: stderr}
	for lines := strings.Split(stderr, "\n"); len(lines) > 0; {
		head := complaintHead.FindStringSubmatch(lines[0])
		lines = lines[1:]
		if head == nil {
			continue
		}
		c := newComplaint(head)
		if len(lines) > 1 && underline.MatchString(lines[1]) {
			c.Excerpt = lines[0] + "\n" + lines[1]
			lines = lines[2:]
		}
		r.Complaints = append(r.Complaints, c)
	}
	return r
}

func newComplaint(head []string) Complaint {
	c := Complaint{Warning: head[5] == "Warning", Message: head[6]}
	if head[1] == "/dev/stdin" {
		c.Line, _ = strconv.Atoi(head[2])
		c.Column, _ = strconv.Atoi(head[3])
		c.EndColumn, _ = strconv.Atoi(head[4])
	}
	return c
}
