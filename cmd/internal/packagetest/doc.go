// Package packagetest installs the Debian package on a machine with a real systemd, a container, and works on it as
// administrators do: add farms, edit them, restart the firewall, upgrade, reboot and purge, while clients use services.
// make test-systemd runs it; without the flag -deb the tests are skipped.
//
// Files that begin with helper_ hold the machine, the balancer's network on it, and the program at both ends of
// connections.
package packagetest
