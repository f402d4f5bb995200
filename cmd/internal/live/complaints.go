package live

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/diag"
)

// explain leads nft's complaints back to the farms that they speak of.
func explainRefusal(script *compiler.Script, err error) (diag.Diagnostics, error) {
	var refusal *nft.Refusal
	if !errors.As(err, &refusal) {
		return nil, err
	}
	var diagnostics diag.Diagnostics
	for _, c := range refusal.Complaints {
		diagnostics = append(diagnostics, explainComplaint(script, c))
	}
	if len(diagnostics) == 0 {
		words := cmp.Or(strings.TrimSpace(refusal.Output), "it does not say why")
		diagnostics = append(diagnostics, diag.Diagnostic{Message: "nft refuses the script: " + words})
	}
	return diagnostics, ErrFaulty
}

func explainComplaint(script *compiler.Script, c nft.Complaint) diag.Diagnostic {
	line := diag.Place{File: "the script", Line: c.Line, Column: c.Column, Text: lineOf(script.Text, c.Line)}
	d := diag.Diagnostic{Place: line, Message: "nft refuses the script: " + c.Message}
	if c.Line == 0 {
		d.Place = diag.Place{}
	}
	if o, ok := script.Origin(c.Line); ok {
		d.Farm, d.Place = o.Farm, o.Place
		d.Message = fmt.Sprintf("nft refuses what %s of the farm %s comes to: %s", o.Key, o.Farm, c.Message)
		d.Also = []diag.Note{{Place: line, Message: "which is"}}
	}
	if words := missingFeature(line.Text, c.Message); words != "" {
		d.Message, d.Hint = words, c.Message+"; modprobe loads a module that is installed"
	}
	return d
}

func lineOf(text []byte, n int) string {
	lines := strings.SplitN(string(text), "\n", n+1)
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// modules are parts of the kernel that it may have been built without, and how the line that asks for them begins.
var features = []struct {
	sentence *regexp.Regexp
	words    string
}{
	{regexp.MustCompile(`^flowtable |^flow add `), "this kernel has no flow tables (module nf_flow_table)"},
	{regexp.MustCompile(`^ct helper farm/`), "this kernel has no such connection tracking helper (module nf_conntrack_ftp, nf_conntrack_sip, ...)"},
	{regexp.MustCompile(`^queue flags `), "this kernel can't hand packets to programs (module nft_queue)"},
	{regexp.MustCompile(`\blog prefix `), "this kernel can't write packets to its log (modules nft_log, nf_log_syslog)"},
	{regexp.MustCompile(`^fwd |fwd ip6? to `), "this kernel can't hand on frames from ingress (module nft_fwd_netdev)"},
	{regexp.MustCompile(`hook ingress devices`), "this kernel has no rules at ingress (module nf_tables, CONFIG_NF_TABLES_NETDEV)"},
	{regexp.MustCompile(`\bfib daddr `), "this kernel can't tell its own addresses in rules (module nft_fib_inet)"},
	{regexp.MustCompile(`\bnumgen `), "this kernel has no numbers to choose by (module nft_numgen)"},
	{regexp.MustCompile(`\b(jhash|symhash) `), "this kernel has no hash (module nft_hash)"},
}

// lacking says which part of the kernel is missing, if that is what it means by its complaint.
func missingFeature(line, complaint string) string {
	if !strings.HasPrefix(complaint, "Could not process rule: ") ||
		!strings.HasSuffix(complaint, "No such file or directory") && !strings.HasSuffix(complaint, "Operation not supported") {
		return ""
	}
	for _, m := range features {
		if m.sentence.MatchString(strings.TrimSpace(line)) {
			return m.words
		}
	}
	return ""
}
