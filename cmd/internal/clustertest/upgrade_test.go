package clustertest

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// TestUpgrade: balancers get another version of farmc one after the other, as the package does it: SIGTERM, then the
// new one. The older version is the program named by FARMC_OLDER, which knows announce, or the same version once more.
func TestUpgrade(t *testing.T) {
	onlyInTestCluster(t)
	newer := buildFarmc(t)
	older := newer
	if file := os.Getenv("FARMC_OLDER"); file != "" {
		older = file
	}
	c := clusterCase{name: "upgrade", patient: true, unmoved: true, change: func(s *site) {
		s.farmc = newer
		for _, b := range s.balancers {
			must(s.t, b.watch.Process.Signal(syscall.SIGTERM))
			s.await(b.watch, "watch has ended; the rules stay")
			s.startWatch(b)
			s.await(b.watch, "3 farms")
			s.awaitBalancers(3)
			time.Sleep(time.Second)
		}
	}}
	c.withDefaults().run(t, older, 200)
}
