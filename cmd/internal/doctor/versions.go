package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/preflight"
)

// The oldest versions with which farmc is tested: Debian 12.
const (
	oldestNft    = "1.0.6"
	oldestKernel = "6.1"
)

// versions finds programs that are older than farmc supports. Empty versions are unknown.
func versions(nft, kernel string) (found preflight.Findings) {
	for _, v := range []struct{ name, is, oldest, lacks string }{
		{"nft", nft, oldestNft, "older versions refuse parts of the script, or crash on them"},
		{"Linux", kernel, oldestKernel, "older kernels lack expressions of the script, or compute them in another way"},
	} {
		if v.is != "" && older(v.is, v.oldest) {
			found = append(found, &preflight.Finding{Kind: "version", Object: v.name, Effect: preflight.Harms,
				Message: fmt.Sprintf("%s is %s, and farmc needs %s at least: %s", v.name, v.is, v.oldest, v.lacks),
				Advice:  "Debian 12 and later have newer ones"})
		}
	}
	return found
}

// older compares versions by their first numbers: "6.1.0-13-amd64" is not older than "6.1".
func older(version, oldest string) bool {
	return slices.Compare(numbers(version), numbers(oldest)) < 0
}

func numbers(version string) (out []int) {
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
			n, err = strconv.Atoi(part[:max(digits, 0)])
			if err == nil {
				out = append(out, n)
			}
			return out
		}
		out = append(out, n)
	}
	return out
}

// kernelRelease is the release of the running kernel, as uname -r prints it.
func kernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
