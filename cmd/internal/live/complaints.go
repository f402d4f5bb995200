package live

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"farmc/cmd/internal/nft"
	"farmc/compiler/diag"
	"farmc/compiler/ruleset"
)

// explainRefusal turns nft's complaints about a script into diagnostics at the places in the farms that caused them.
// Other errors are returned unchanged.
func explainRefusal(script *ruleset.Script, err error) (diag.Diagnostics, error) {
	var refusal *nft.Refusal
	if !errors.As(err, &refusal) {
		return nil, err
	}
	var diagnostics diag.Diagnostics
	for _, c := range refusal.Complaints {
		diagnostics = append(diagnostics, explainComplaint(script, c))
	}
	if len(diagnostics) == 0 {
		words := cmp.Or(strings.TrimSpace(refusal.Output), "it prints no reason")
		diagnostics = append(diagnostics, diag.Diagnostic{Message: "nft refuses the script: " + words})
	}
	return diagnostics, ErrFaulty
}

func explainComplaint(script *ruleset.Script, c nft.Complaint) diag.Diagnostic {
	line := diag.Place{File: "the script", Line: c.Line, Column: c.Column, Text: lineOf(script.Text, c.Line)}
	d := diag.Diagnostic{Place: line, Message: "nft refuses the script: " + c.Message}
	if c.Line == 0 {
		d.Place = diag.Place{}
	}
	if o, ok := script.Origin(c.Line); ok {
		d.Farm, d.Place = o.Farm, o.Place
		d.Message = fmt.Sprintf("nft refuses the rules of %s in farm %s: %s", o.Key, o.Farm, c.Message)
		d.Also = []diag.Note{{Place: line, Message: "generated line"}}
	}
	if f := missingFeature(line.Text, c.Message); f != nil {
		d.Message, d.Hint = f.words, c.Message+"; "+cmp.Or(f.remedy, "modprobe loads a module that is installed")
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

// A feature is an optional part of the kernel.
type feature struct {
	sentence *regexp.Regexp
	words    string
	remedy   string // where modprobe is none
}

// features are optional parts of the kernel, recognised by the script line that needs them.
var features = []feature{
	{regexp.MustCompile(`^flowtable |^flow add `), "this kernel has no flow tables (module nf_flow_table)", ""},
	{regexp.MustCompile(`^ct helper farm/`), "this kernel lacks the conntrack helper (module nf_conntrack_ftp, ...)",
		""},
	{regexp.MustCompile(`^ct timeout `), "this kernel lacks times of connections (CONFIG_NF_CONNTRACK_TIMEOUT)",
		"leave timeouts out of the farms, and sysctl -w net.netfilter.nf_conntrack_tcp_timeout_close_wait=3600"},
	{regexp.MustCompile(`^queue flags `), "this kernel has no queue statement (module nft_queue)", ""},
	{regexp.MustCompile(`\blog prefix `), "this kernel has no log statement (modules nft_log, nf_log_syslog)", ""},
	{regexp.MustCompile(`^fwd |fwd ip6? to `), "this kernel has no fwd statement (module nft_fwd_netdev)", ""},
	{regexp.MustCompile(`hook ingress devices`), "this kernel has no ingress hook (CONFIG_NF_TABLES_NETDEV)", ""},
	{regexp.MustCompile(`\bfib daddr `), "this kernel has no fib expression (module nft_fib_inet)", ""},
	{regexp.MustCompile(`\bnumgen `), "this kernel has no numgen expression (module nft_numgen)", ""},
	{regexp.MustCompile(`\b(jhash|symhash) `), "this kernel has no hash expression (module nft_hash)", ""},
}

// missingFeature returns the part of the kernel that is missing, or nil if the complaint has another cause.
func missingFeature(line, complaint string) *feature {
	cause, ok := strings.CutPrefix(complaint, "Could not process rule: ")
	if !ok || !strings.HasSuffix(cause, "No such file or directory") &&
		!strings.HasSuffix(cause, "Operation not supported") {
		return nil
	}
	for i := range features {
		if features[i].sentence.MatchString(strings.TrimSpace(line)) {
			return &features[i]
		}
	}
	return nil
}
