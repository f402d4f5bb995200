package ipvsadm

import (
	"fmt"
	"net/netip"
	"strings"

	"farmc/cmd/internal/convert/ipvs"
)

// Export writes services as rules for ipvsadm -R.
func Export(services []ipvs.Service) string {
	var out strings.Builder
	for _, s := range services {
		of := serviceOption(s.Addresses[0])
		fmt.Fprintf(&out, "-A %s -s %s%s%s\n", of, s.Scheduler.Value, persistenceOf(s), flagsOf(s))
		for _, r := range s.Servers {
			fmt.Fprintf(&out, "-a %s -r %s %s -w %d", of, netip.AddrPortFrom(r.IP, r.Port), methods[r.Method], r.Weight)
			if r.Upper > 0 {
				fmt.Fprintf(&out, " -x %d", min(r.Upper, maxThreshold))
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// maxThreshold is the largest threshold of ipvsadm.
const maxThreshold = 65535

var methods = map[string]string{ipvs.Masquerade: "-m", ipvs.Direct: "-g", ipvs.Tunnel: "-i"}

// serviceOption names a service.
func serviceOption(a ipvs.Address) string {
	for _, o := range serviceOptions {
		if o[1] == a.Protocol {
			return o[0] + " " + netip.AddrPortFrom(a.IP, a.Port).String()
		}
	}
	return ""
}

func persistenceOf(s ipvs.Service) string {
	if s.Persistence == nil {
		return ""
	}
	text := fmt.Sprintf(" -p %d", s.Persistence.Seconds)
	if mask := s.Persistence.Mask.Value; mask != "" {
		text += " -M " + mask
	}
	return text
}

func flagsOf(s ipvs.Service) string {
	if len(s.Flags) == 0 {
		return ""
	}
	var names []string
	for _, f := range s.Flags {
		names = append(names, f.Value)
	}
	return " -b " + strings.Join(names, ",")
}
