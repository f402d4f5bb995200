package ipvsadm

import (
	"fmt"
	"net/netip"
	"strings"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
)

// Export writes services as rules for ipvsadm -R.
func Export(r *convert.Result, services []ipvs.Service) string {
	var out strings.Builder
	checked := map[string]bool{}
	for _, s := range services {
		if s.Checked() && !checked[s.Name] {
			checked[s.Name] = true
			r.Lose(s.At, "IPVS has no checks, so backends of farm "+s.Name+" that fail get connections",
				"let keepalived check them: farmc export keepalived")
		}
		if s.Sorry != nil {
			r.Lose(s.Sorry.At, "backend "+s.Sorry.Backend+" has a worse priority, and IPVS has no sorry server",
				"it is left out; let keepalived add it")
		}
		of := serviceOption(s.Addresses[0])
		fmt.Fprintf(&out, "-A %s -s %s%s%s%s\n", of, s.Scheduler.Value, persistenceOf(s), onePacketOf(s),
			flagsOf(s))
		for _, server := range s.Servers {
			fmt.Fprintf(&out, "-a %s -r %s %s -w %d%s\n", of, netip.AddrPortFrom(server.IP, server.Port),
				methods[server.Method], server.Weight, thresholdOf(r, server))
		}
	}
	return out.String()
}

// maxThreshold is the largest threshold of ipvsadm.
const maxThreshold = 65535

var methods = map[string]string{ipvs.Masquerade: "-m", ipvs.Direct: "-g", ipvs.Tunnel: "-i"}

func thresholdOf(r *convert.Result, s *ipvs.Server) string {
	if s.Upper == 0 {
		return ""
	}
	if s.Upper > maxThreshold {
		r.Lose(s.At, fmt.Sprintf("backend %s has more than %d connections, the most of ipvsadm", s.Backend,
			maxThreshold), fmt.Sprintf("it has %d", maxThreshold))
	}
	return fmt.Sprintf(" -x %d", min(s.Upper, maxThreshold))
}

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

func onePacketOf(s ipvs.Service) string {
	if s.OnePacket.File == "" {
		return ""
	}
	return " -o"
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
