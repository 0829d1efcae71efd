// Command local-kubernetes runs one Kubernetes control plane with simulated nodes in one process, for a laptop or a CI machine.
//
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok are linked in and share the process:
// there is nothing to supervise, and nothing can outlive it. Everything listens on loopback only.
//
// Called by the name kubectl it is kubectl, of the same version: a machine need not have one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

const usage = `usage: local-kubernetes run --dir DIR [--name NAME] [--port PORT] [--nodes N]
       local-kubernetes version`

func main() {
	if filepath.Base(os.Args[0]) == "kubectl" {
		os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "local-kubernetes:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	switch args[0] {
	case "version":
		fmt.Println(kubernetesVersion())
		return nil
	case "run":
		return runCommand(ctx, args[1:])
	default:
		return errors.New(usage)
	}
}

func runCommand(ctx context.Context, args []string) error {
	var c cluster
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&c.dir, "dir", "", "folder that holds the cluster's state; the kubeconfig is written beside it, as DIR.kubeconfig")
	flags.StringVar(&c.name, "name", "", "name of the cluster in its kubeconfig (default: the folder's name)")
	flags.IntVar(&c.port, "port", 0, "port of the API server (default: the one used before, else a free one)")
	flags.IntVar(&c.nodes, "nodes", 2, "number of simulated nodes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if c.dir == "" || flags.NArg() > 0 {
		return errors.New(usage)
	}
	return c.run(ctx)
}
