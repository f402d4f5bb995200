package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// answer is a program: a TCP server that answers with the bytes that arrive. It prints
// "listening" at its start.
func answer() {
	server, err := net.Listen("tcp", os.Args[1])
	if err == nil {
		fmt.Println("listening")
	}
	for err == nil {
		var c net.Conn
		if c, err = server.Accept(); err == nil {
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// converse is a program: a TCP client that sends bytes until SIGTERM, and then closes the connection. It prints
// "connected" at the first answer, and ends with status 1 if the connection breaks.
func converse() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	c, err := net.DialTimeout("tcp", os.Args[1], 5*time.Second)
	for n := 0; err == nil; n++ {
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err = c.Write([]byte("x")); err == nil {
			_, err = io.ReadFull(c, make([]byte, 1))
		}
		if n == 0 && err == nil {
			fmt.Println("connected")
		}
		select {
		case <-end:
			c.Close()
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Println(err)
	os.Exit(1)
}
