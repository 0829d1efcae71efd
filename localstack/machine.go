package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

const (
	awsPort  = 4566
	gigabyte = 1 << 30
	coldDisk = 6 * gigabyte // Go's caches of the control plane's modules hold most of it
	warmDisk = 1 * gigabyte
)

// checkMachine finds what would stop `up` halfway, before it begins.
func (s *stack) checkMachine(ctx context.Context) error {
	if err := s.checkDisk(); err != nil {
		return err
	}
	if _, err := s.python(ctx); err != nil {
		return err
	}
	if _, ok := s.running(ctx, awsProcess); ok || s.external {
		return nil
	}
	return checkPort(ctx, awsPort)
}

func (s *stack) checkDisk() error {
	need := uint64(coldDisk)
	if _, err := os.Stat(s.kubernetesBinary()); err == nil {
		need = warmDisk
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.local(), &fs); err != nil {
		return fmt.Errorf("asking for the free disk space: %w", err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free < need {
		return fmt.Errorf("the disk of %s has %.1f GB free and %d GB are needed: free some, for example with `go clean -cache`",
			s.local(), float64(free)/gigabyte, need/gigabyte)
	}
	return nil
}

func checkPort(ctx context.Context, port int) error {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		return l.Close()
	}
	owner := "a process that cannot be named"
	if pid := portOwner(ctx, port); pid > 0 {
		owner = "process " + strconv.Itoa(pid)
	}
	return fmt.Errorf("port %d is in use by %s: stop it, or give --external if it is a local AWS to deploy to", port, owner)
}

// portOwner answers the process that listens on a TCP port, or 0.
func portOwner(ctx context.Context, port int) int {
	if runtime.GOOS != "linux" {
		out, err := exec.CommandContext(ctx, "lsof", "-t", "-sTCP:LISTEN", "-i", "tcp:"+strconv.Itoa(port)).Output()
		if err != nil {
			return 0
		}
		pid, _ := strconv.Atoi(strings.Fields(string(out) + " 0")[0])
		return pid
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		if inode := listenerInode(string(b), port); inode != "" {
			return socketOwner(inode)
		}
	}
	return 0
}

// listenerInode finds the socket that listens (state 0A) on the port in a table such as /proc/net/tcp.
func listenerInode(table string, port int) string {
	lines := bufio.NewScanner(strings.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			return f[9]
		}
	}
	return ""
}

func socketOwner(inode string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && target == "socket:["+inode+"]" {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			return pid
		}
	}
	return 0
}

// python answers the interpreter to make the virtual environment with: $PYTHON, else python3.
func (s *stack) python(ctx context.Context) (string, error) {
	name := os.Getenv("PYTHON")
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is missing: install Python 3.10 or later, or name it with PYTHON=/path/to/python3", name)
	}
	out, err := exec.CommandContext(ctx, path, "-c", "import sys; print(*sys.version_info[:2])").Output()
	if err != nil {
		return "", fmt.Errorf("%s does not run: install Python 3.10 or later, or name it with PYTHON=/path/to/python3", path)
	}
	var major, minor int
	if _, err := fmt.Sscan(string(out), &major, &minor); err != nil || major != 3 || minor < 10 {
		return "", fmt.Errorf("%s is Python %d.%d: install 3.10 or later, or name it with PYTHON=/path/to/python3", path, major, minor)
	}
	if err := exec.CommandContext(ctx, path, "-c", "import venv, ensurepip").Run(); err != nil {
		return "", fmt.Errorf("%s has no venv module: install it (Debian and Ubuntu: apt-get install python3-venv)", path)
	}
	return path, nil
}
