// Package flows tells to which farm and backend a connection tracking entry belongs, and which entries must not outlive
// a load.
//
// The package knows farms, frontends and connections. It must not know nft or netlink: the caller reads the entries and
// deletes them. Of farmc's packages it imports addr and farm.
//
// Files, in the order to read them: connection.go has Connection and finds its frontend and backend; owner.go has
// Owners, for status; stale.go has Stale, for a load.
//
// Be aware:
//   - The farms before the load are recalled from their descriptions, and so have only the keys that decide where
//     connections went.
//   - Servers, Services and Anywhere of Stale limit the entries that have to be read. Contains has the last word on
//     each.
package flows
