package ipvsadm

import (
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
)

// A command is one command of ipvsadm with its options, by their short names.
type command struct {
	at        convert.Place
	name      string // "": none
	arguments []string
	values    map[string]string
	unknown   []string
	lacking   []string // options without their value
}

// short has the short name of each long option.
var short = map[string]string{
	"--add-service": "-A", "--edit-service": "-E", "--delete-service": "-D", "--clear": "-C", "--restore": "-R",
	"--save": "-S", "--add-server": "-a", "--edit-server": "-e", "--delete-server": "-d", "--list": "-L", "-l": "-L",
	"--zero": "-Z", "--help": "-h", "--tcp-service": "-t", "--udp-service": "-u", "--fwmark-service": "-f",
	"--scheduler": "-s", "--persistent": "-p", "--netmask": "-M", "--sched-flags": "-b", "--real-server": "-r",
	"--gatewaying": "-g", "--ipip": "-i", "--masquerading": "-m", "--weight": "-w", "--u-threshold": "-x",
	"--l-threshold": "-y", "--ops": "-o", "-O": "-o", "--ipv6": "-6", "--numeric": "-n", "--connection": "-c",
}

// The commands, the options with a value, the options without one.
var (
	isCommand = convert.Words("-A -E -D -C -R -S -a -e -d -L -Z -h --set --start-daemon --stop-daemon")
	hasValue  = convert.Words("-t -u -f -s -M -b -r -w -x -y --pe --sctp-service --tun-type --tun-port " +
		"--mcast-interface --syncid --sync-maxlen --mcast-group --mcast-port --mcast-ttl")
	isFlag = convert.Words("-p -g -i -m -o -6 -n -c --tun-nocsum --tun-csum --tun-remcsum --timeout --daemon " +
		"--stats --rate --thresholds --persistent-conn --tun-info --sort --nosort --exact")
)

// parse reads the words of a line.
func parse(at convert.Place, line []string) command {
	c := command{at: at, values: map[string]string{}}
	if line[0] == "ipvsadm" || strings.HasSuffix(line[0], "/ipvsadm") {
		line = line[1:]
	}
	for len(line) > 0 {
		line = c.take(line)
	}
	return c
}

// take reads one option, and gives the words after it.
func (c *command) take(line []string) []string {
	name, value, attached := split(line[0])
	rest := line[1:]
	switch {
	case attached && line[0][1] != '-' && name != "-p" && !hasValue[name]: // several options in one word
		return c.take(append([]string{name, "-" + value}, rest...))
	case isCommand[name] && c.name == "":
		c.name = name
		return c.takeArguments(rest)
	case hasValue[name]:
		switch {
		case attached:
		case len(rest) == 0:
			c.lacking = append(c.lacking, name)
		default:
			value, rest = rest[0], rest[1:]
		}
		c.values[name] = value
	case name == "-p" && !attached && len(rest) > 0 && isNumber(rest[0]):
		c.values[name], rest = rest[0], rest[1:]
	case isFlag[name]:
		c.values[name] = value
	default:
		c.unknown = append(c.unknown, line[0])
	}
	return rest
}

// takeArguments reads the words that follow a command without an option.
func (c *command) takeArguments(rest []string) []string {
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		c.arguments, rest = append(c.arguments, rest[0]), rest[1:]
	}
	return rest
}

// split divides --weight=5 and -w5, and gives the short name of an option.
func split(word string) (name, value string, attached bool) {
	if strings.HasPrefix(word, "--") {
		name, value, attached = strings.Cut(word, "=")
	} else if name = word; len(word) > 2 && strings.HasPrefix(word, "-") {
		name, value, attached = word[:2], word[2:], true
	}
	if s := short[name]; s != "" {
		name = s
	}
	return name, value, attached
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

func (c command) has(option string) bool {
	_, has := c.values[option]
	return has
}

func (c command) option(name string) ipvs.Option { return ipvs.Option{At: c.at, Value: c.values[name]} }

// serviceOptions are the options that name a service, and their protocols.
var serviceOptions = [...][2]string{{"-t", "tcp"}, {"-u", "udp"}, {"--sctp-service", "sctp"}}

func (c command) protocol() string {
	for _, o := range serviceOptions {
		if c.has(o[0]) {
			return o[1]
		}
	}
	return ""
}

func (c command) serviceAddress() string {
	for _, o := range serviceOptions {
		if c.has(o[0]) {
			return c.values[o[0]]
		}
	}
	return ""
}

// key names the service of the command.
func (c command) key() string {
	if c.has("-f") {
		_, six := c.values["-6"]
		return "mark " + c.values["-f"] + " " + strconv.FormatBool(six)
	}
	ip, port, _ := hostPort(c.serviceAddress())
	return c.protocol() + " " + ip.String() + " " + strconv.Itoa(int(port))
}

// method is the forwarding method. Direct routing is the default.
func (c command) method() string {
	switch {
	case c.has("-m"):
		return ipvs.Masquerade
	case c.has("-i"):
		return ipvs.Tunnel
	}
	return ipvs.Direct
}
