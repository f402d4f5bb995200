// Package delegate runs a command line in another process of the same program, over a unix socket.
//
// farmc watch has all farms compiled already, so it answers farmc apply and farmc status much faster than a new process
// can. The package knows neither commands nor farms: the server gets a Request, and writes output and an exit status.
//
// The protocol is JSON, a message a line. The client sends one Request; the server sends frames of output, and at last
// one with the exit status, or one that declines. If the client closes its side for writing, the context of the command
// ends. ask.go has the client, serve.go the server, and socket.go the socket.
package delegate

// A Request is a command line.
type Request struct {
	Build   string   `json:"build"`   // version of the client: another version may know other commands
	Options string   `json:"options"` // settings that client and server must have in common
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

// A frame is a message of the server.
type frame struct {
	Stdout  []byte `json:"out,omitempty"`
	Stderr  []byte `json:"err,omitempty"`
	Status  *int   `json:"status,omitempty"` // exit status; the last frame
	Decline bool   `json:"decline,omitempty"`
}

// Name is the file of the socket in its directory.
const Name = "watch.sock"

// maxRequest is the size of the largest request, in bytes.
const maxRequest = 1 << 20
