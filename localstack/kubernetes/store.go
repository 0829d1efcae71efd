package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// The sockets stand in the cluster's folder, where the process does: an absolute path would soon exceed the 108 bytes of a socket's name.
// etcd wants a port in every address; here it is a part of the file's name.
const (
	storeURL = "unix://store:1"
	peerURL  = "unix://peer:1"
)

// startStore runs etcd on a socket in the cluster's folder, so that nobody else on the machine can reach it.
func startStore() (stop func(), err error) {
	config := embed.NewConfig()
	config.Name = "local"
	config.Dir = "etcd"
	config.ListenClientUrls = parseURL(storeURL)
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = parseURL(peerURL)
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.EnableGRPCGateway = false
	// A killed process loses nothing without it; only a machine that loses power could.
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	config.TickMs, config.ElectionMs = 100, 500
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd.Close, nil
	case err := <-etcd.Err():
		return nil, fmt.Errorf("starting etcd: %w", err)
	case <-time.After(time.Minute):
		etcd.Close()
		return nil, errors.New("starting etcd: not ready after a minute")
	}
}

func parseURL(s string) []url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err) // a constant of this file
	}
	return []url.URL{*u}
}
