package keepalived

import (
	"net/netip"
	"strings"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
)

// Import makes a farm of each virtual server.
func Import(in convert.Input) *convert.Result {
	c := &configuration{Result: &convert.Result{}, iface: in.Interface, groups: map[string]*statement{},
		interfaces: map[netip.Addr]ipvs.Option{}, trackFiles: map[string]string{}}
	statements := parse(c.Result, in)
	for _, s := range statements {
		c.section(s)
	}
	for _, s := range c.servers {
		c.virtualServer(s)
	}
	return c.Result
}

// A configuration is what the sections say that virtual servers need.
type configuration struct {
	*convert.Result
	iface      string                     // of the option --interface
	groups     map[string]*statement      // of addresses, by name
	servers    []*statement               // virtual servers
	interfaces map[netip.Addr]ipvs.Option // of the addresses of VRRP
	trackFiles map[string]string          // paths of files that FILE_CHECK reads, by name
	timeouts   *ipvs.Option               // lvs_timeouts, as ipvsadm --set has them
}

// section reads a statement at the top level.
func (c *configuration) section(s *statement) {
	switch name := s.name(); {
	case name == "virtual_server":
		c.servers = append(c.servers, s)
	case name == "virtual_server_group":
		c.groups[s.word(1)] = s
	case name == "global_defs":
		c.global(s)
	case name == "vrrp_instance":
		c.addresses(s)
		c.Note(s.at, "farmc has no VRRP", "run keepalived with its VRRP sections, and without virtual_server")
	case name == "vrrp_track_file" || name == "track_file":
		c.trackFile(s)
	case name == "SSL":
		c.Lose(s.at, "checks of farmc send no certificate of a client", "set tls-ca in [health] to verify servers")
	case ofVRRP[name]:
		c.Note(s.at, "section "+name+" does not concern virtual servers", "it stays with keepalived")
	default:
		c.unknown(s, "at the top level")
	}
}

// ofVRRP are the sections and statements of keepalived's other parts.
var ofVRRP = convert.Words(`vrrp_sync_group vrrp_script vrrp_track_process track_process track_group static_ipaddress
	static_routes static_rules static_track_group garp_group linkbeat_interfaces interface_up_down_delays
	bfd_instance net_namespace net_namespace_ipvs namespace_with_ipsets instance use_pid_dir linkbeat_use_polling
	child_wait_time`)

// unknown records a directive that the importer does not know.
func (c *configuration) unknown(s *statement, where string) {
	c.Lose(s.at, "unknown directive "+s.name()+" "+where, "look whether farmc has a key for it in farms.d(5)")
}

// global reads global_defs. Most of it is about keepalived's own processes.
func (c *configuration) global(s *statement) {
	other := 0
	for _, d := range s.within {
		switch name := d.name(); name {
		case "lvs_timeouts":
			c.setTimeouts(d)
		case "lvs_sync_daemon":
			c.Lose(d.at, "farmc has no connection synchronization daemon",
				"run conntrackd for farms in mode dnat; maglev and hash need no synchronization")
		case "notification_email", "smtp_alert", "smtp_alert_checker", "notify_fifo", "lvs_notify_fifo",
			"lvs_notify_fifo_script", "notify_fifo_script":
			c.Note(d.at, "farmc sends no notifications by "+name, "read the events of the API: farmc-api(7)")
		default:
			other++
		}
	}
	if other > 0 {
		c.Note(s.at, "global_defs has settings of keepalived's own processes", "they stay with keepalived")
	}
}

// setTimeouts reads lvs_timeouts tcp SECS tcpfin SECS udp SECS.
func (c *configuration) setTimeouts(d *statement) {
	times := [3]string{"0", "0", "0"}
	for i := 1; i < len(d.words); i += 2 {
		switch d.words[i] {
		case "tcp":
			times[0] = d.word(i + 1)
		case "tcpfin":
			times[1] = d.word(i + 1)
		case "udp":
			times[2] = d.word(i + 1)
		}
	}
	c.timeouts = &ipvs.Option{At: d.at, Value: strings.Join(times[:], " ")}
}

// addresses notes the interfaces of the addresses of a VRRP instance.
func (c *configuration) addresses(s *statement) {
	var own string
	for _, d := range s.within {
		if d.name() == "interface" {
			own = d.word(1)
		}
	}
	for _, d := range s.within {
		if d.name() != "virtual_ipaddress" && d.name() != "virtual_ipaddress_excluded" {
			continue
		}
		for _, a := range d.within {
			text, _, _ := strings.Cut(a.name(), "/")
			ip, err := netip.ParseAddr(text)
			if device := deviceOf(a, own); err == nil && device != "" {
				c.interfaces[ip] = ipvs.Option{At: a.at, Value: device}
			}
		}
	}
}

// deviceOf gives the word after dev in a statement, or else another device.
func deviceOf(s *statement, other string) string {
	for i, word := range s.words {
		if word == "dev" {
			return s.word(i + 1)
		}
	}
	return other
}

// trackFile notes the path of a file that FILE_CHECK reads.
func (c *configuration) trackFile(s *statement) {
	for _, d := range s.within {
		if d.name() == "file" {
			c.trackFiles[s.word(1)] = d.word(1)
		}
	}
}
