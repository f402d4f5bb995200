// Package packagetest installs the Debian package on a machine with a real systemd, a container, and does to it what
// administrators do: drop farms in, edit them, restart the firewall, upgrade, reboot, purge, while clients talk to
// services. make test-systemd runs it.
package packagetest
