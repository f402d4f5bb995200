package nft

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// A Refusal is what nft or the kernel have against a script.
type Refusal struct {
	Complaints []Complaint
	Output     string // all that nft said, 1 MiB at most
}

// A Complaint is one thing that nft says against a script.
type Complaint struct {
	Line      int // of the script, from 1; 0 where nft names none
	Column    int // from 1, in bytes; a tab counts one
	EndColumn int // of the last byte that is meant; of another line, thus perhaps smaller, where the part spans lines
	Warning   bool
	Message   string
	Excerpt   string // the line, and below it the part that is meant (^^^) and what it quarrels with (~~~)
}

// A Crash is the end of an nft that could not say what is wrong.
type Crash struct {
	Signal syscall.Signal
	Words  string // the last that it said, on one line; in most cases an assertion
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

// String gives the complaint as line:column: message, the latter in nft's words.
func (c Complaint) String() string {
	if c.Line == 0 {
		return c.Message
	}
	return fmt.Sprintf("%d:%d: %s", c.Line, c.Column, c.Message)
}

func (c *Crash) Error() string {
	if c.Words == "" {
		return fmt.Sprintf("nft crashed (%v)", c.Signal)
	}
	return fmt.Sprintf("nft crashed (%v): %s", c.Signal, c.Words)
}

// says tells whether any complaint ends with these words; the kernel's error stands at the end.
func (r *Refusal) says(words string) bool {
	for _, c := range r.Complaints {
		if strings.HasSuffix(c.Message, words) {
			return true
		}
	}
	return false
}

// headline is how nft begins a complaint: with a place (in the script, in a file that it includes, or
// "internal:0:0-0"), or with "netlink" where the kernel spoke of no statement (src/erec.c).
var headline = regexp.MustCompile(`^(?:(.+?):(\d+):(\d+)-(\d+)|netlink): (Error|Warning): (.*)$`)

// marks is the line below an excerpt.
var marks = regexp.MustCompile(`^[\t ]*[~^][~^\t ]*$`)

// newRefusal reads nft's complaints. The excerpt is taken before another headline is looked for: it is the
// script's text, which may look like anything.
func newRefusal(stderr string) *Refusal {
	r := &Refusal{Output: stderr}
	for lines := strings.Split(stderr, "\n"); len(lines) > 0; {
		head := headline.FindStringSubmatch(lines[0])
		lines = lines[1:]
		if head == nil {
			continue
		}
		c := newComplaint(head)
		if len(lines) > 1 && marks.MatchString(lines[1]) {
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
