package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// chat stands in for Slack: it takes what is posted to an incoming webhook.
type chat struct {
	url    string
	server *http.Server

	mu   sync.Mutex
	said []string
}

func openChat(ctx context.Context) (*chat, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the chat: %w", err)
	}
	c := &chat{url: "http://" + listener.Addr().String() + "/services/demo"}
	c.server = &http.Server{Handler: c, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = c.server.Serve(listener) }() // it ends when the server is closed
	return c, nil
}

func (c *chat) close() { _ = c.server.Close() } // the program ends anyway

func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct {
		Text   string
		Blocks []struct{ Text struct{ Text string } }
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &message)
	}
	if err != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	said := message.Text
	for _, block := range message.Blocks {
		said += "\n" + block.Text.Text
	}
	c.said = append(c.said, said)
	c.mu.Unlock()
	_, _ = io.WriteString(w, "ok") // a sender that left says so itself
}

func (c *chat) messages() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.said...)
}

// wait returns what was said once there is something, or the time is over. It stays a little longer for what should not come.
func (c *chat) wait(ctx context.Context, most time.Duration) []string {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for len(c.messages()) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Second):
	}
	return c.messages()
}
