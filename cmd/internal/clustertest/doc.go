// Package clustertest tests several balancers behind a router, with the routing daemons and the configuration files
// that the package ships in debian/examples/cluster. Connections of a client go on while balancers die, come and are
// withdrawn; the tests count the ones that are lost. It holds tests only.
//
// A case is a change of the site, and the number of connections that each mode may lose. In mode snat a connection is
// known to one balancer. So snat is the control: if it loses none, the change has moved none. One short case runs
// always, all of them with CLUSTER=1:
//
//	make test-cluster
//	CLUSTER=1 go test ./cmd/internal/clustertest -run 'Cluster/withdrawn'
//
// balancers_test has the cases, resilient_test the cases of a router with resilient nexthop groups, frr_test the cases
// with FRR, pair_test the cases of a pair with keepalived and conntrackd. etcd_test changes farms by three nodes of
// etcd and farmc-etcd, outage_test ends etcd, canary_test tries farms on one balancer first. helper_site has the
// machines and their programs, helper_flow the connections of the client, helper_stream its datagrams, helper_case the
// parts of a case, helper_store etcd, helper_rollout changes by etcd, helper_loads the scripts that balancers load.
package clustertest
