package main

import "syscall"

// diesWithParent: a cluster that is killed takes its relay along. Linux alone can do so.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
