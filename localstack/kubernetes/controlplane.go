package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

const (
	apiServer    = "kube-apiserver"
	serviceRange = "10.96.0.0/16"
	apiServiceIP = "10.96.0.1"
)

// The components are set by their command lines' flags, which are documented and stable, not by their structs.

func runAPIServer(ctx context.Context, c *cluster) error {
	options := apiserveroptions.NewServerRunOptions()
	flags := options.Flags()
	if err := parse(flags, map[string]string{
		"bind-address": "127.0.0.1",
		"secure-port":  strconv.Itoa(c.port),
		// Nothing inside the cluster can call the API server, and an endpoint on loopback is not allowed:
		// so there is none, and an address reserved for documentation keeps it from asking the machine for its own.
		"advertise-address":                "192.0.2.1",
		"endpoint-reconciler-type":         "none",
		"etcd-servers":                     storeURL,
		"client-ca-file":                   c.certificates.authority,
		"tls-cert-file":                    c.certificates.server,
		"tls-private-key-file":             c.certificates.serverKey,
		"service-account-issuer":           "https://kubernetes.default.svc.cluster.local",
		"service-account-key-file":         c.certificates.serviceAccountKey,
		"service-account-signing-key-file": c.certificates.serviceAccountKey,
		"service-cluster-ip-range":         serviceRange,
		"authorization-mode":               "RBAC",
		"allow-privileged":                 "true",
		// No simulated pod can answer a webhook: each later write would wait 10 s for nobody.
		"disable-admission-plugins": "MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
		"profiling":                 "false",
	}); err != nil {
		return err
	}
	if err := options.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	completed, err := options.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return apiserver.Run(ctx, completed)
}

func runControllerManager(ctx context.Context, c *cluster) error {
	options, err := manageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	known, disabled, aliases := manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases()
	if err := parse(options.Flags(known, disabled, aliases), map[string]string{
		"kubeconfig":                       c.kubeconfig,
		"secure-port":                      "0",
		"leader-elect":                     "false",
		"service-account-private-key-file": c.certificates.serviceAccountKey,
		"root-ca-file":                     c.certificates.authority,
		"cluster-signing-cert-file":        c.certificates.authority,
		"cluster-signing-key-file":         c.certificates.authorityKey,
		// With the default StorageClass (see furnish), claims bind though no pod can have a volume.
		"enable-hostpath-provisioner": "true",
		"kube-api-qps":                "200",
		"kube-api-burst":              "400",
	}); err != nil {
		return err
	}
	config, err := options.Config(ctx, known, disabled, aliases)
	if err != nil {
		return err
	}
	return manager.Run(ctx, config.Complete())
}

func runScheduler(ctx context.Context, c *cluster) error {
	options := scheduleroptions.NewOptions()
	if err := parse(*options.Flags, map[string]string{
		"kubeconfig":     c.kubeconfig,
		"secure-port":    "0",
		"leader-elect":   "false",
		"kube-api-qps":   "200",
		"kube-api-burst": "400",
	}); err != nil {
		return err
	}
	config, s, err := scheduler.Setup(ctx, options)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, s)
}

func parse(sets flag.NamedFlagSets, values map[string]string) error {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		all.AddFlagSet(set)
	}
	for name, value := range values {
		if err := all.Set(name, value); err != nil {
			return fmt.Errorf("flag --%s=%s: %w", name, value, err)
		}
	}
	return nil
}
