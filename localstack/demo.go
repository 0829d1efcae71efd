package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The demonstration's names are those of Pipeline's own multi-cluster example.
var demoClusters = []struct{ name, cloud, distribution, location, replicas string }{
	{"pke-demo", "amazon", "pke", "eu-west-1", "2"},
	{"gke-demo", "google", "gke", "europe-west4", "3"},
}

const (
	demoGroup    = "multi-cloud"
	demoRelease  = "demo"
	demoReceiver = "demo-chat"
)

// demo shows the main job with the commands that a person would type: one chart on a group of clusters, with an override each; a change that is
// foreseen and carried out; somebody's change by hand, found and repaired; the way back; and a bad image, which gets no further than the first
// cluster.
func (s *stack) demo(ctx context.Context) error {
	start := time.Now()
	if err := s.buildHelm(ctx); err != nil {
		return err
	}
	for _, c := range demoClusters {
		if err := s.stage(ctx, "cluster "+c.name, func(ctx context.Context) (string, error) {
			return s.startCluster(ctx, c.name, s.local("clusters", c.name))
		}); err != nil {
			return err
		}
	}
	d := demonstration{stack: s, ctx: ctx}
	for _, c := range demoClusters {
		d.once([]string{"swell", "cluster", "get", c.name}, "Import the cluster "+c.name+".", "swell", "cluster", "import", c.name, "--kubeconfig", ".local/clusters/"+c.name+".kubeconfig",
			"--cloud", c.cloud, "--distribution", c.distribution, "--location", c.location)
	}
	d.once([]string{"swell", "group", "get", demoGroup}, "Group both.", "swell", "group", "create", demoGroup, "--member", demoClusters[0].name, "--member", demoClusters[1].name)
	first := demoClusters[0].name
	deploy := []string{"swell", "deploy", demoRelease, "--group", demoGroup, "--chart", "charts/demo", "--set", "replicaCount=1"}
	for _, c := range demoClusters {
		deploy = append(deploy, "--override", c.name+":replicaCount="+c.replicas)
	}
	deployed := d.say("Deploy a chart to the group: replicaCount 1 in common, and an override for each cluster.", append(deploy, "--watch")...)
	d.status("How every target stands:")
	planned := d.say("What would a change do, on every cluster? Nothing is touched.", "swell", "plan", demoRelease, "--group", demoGroup, "--reuse-values", "--set", "message=Hello from a plan.")
	d.say("Carry out exactly that:", "swell", "apply", found(planned, `swell apply (\S+)`), "--watch")
	d.say("Somebody changes one cluster by hand, past Swell:", "kubectl", "set", "env", "deployment/"+demoRelease, "DEBUG=true", "--kubeconfig", ".local/clusters/"+first+".kubeconfig")
	d.say("And deletes something:", "kubectl", "delete", "configmap", demoRelease, "--kubeconfig", ".local/clusters/"+first+".kubeconfig")
	d.say("Look now (reconcile would, every five minutes):", "swell", "check", demoRelease, "--group", demoGroup, "--wait")
	d.status("The target has drifted:")
	d.say("In exactly what, and by whose hand:", "swell", "drift", demoRelease, "--group", demoGroup)
	d.say("Repair it:", "swell", "sync", demoRelease, "--group", demoGroup, "--watch")
	d.say("Every generation is kept:", "swell", "history", demoRelease, "--group", demoGroup)
	d.say("Take the change back, on all clusters:", "swell", "rollback", demoRelease, found(deployed, `generation (\d+)`), "--group", demoGroup, "--watch")
	d.status("And all is as it was:")
	d.badImage(first, found(deployed, `generation (\d+)`))
	if d.err != nil {
		return d.err
	}
	d.tell(`
The demonstration took %.0f s. To look further:

  . .local/env                                     SWELL_URL and SWELL_TOKEN for curl, and AWS_… for the local AWS
  bin/swell runs                                   what happened, and bin/swell run get ID for every step
  .local/bin/kubectl --kubeconfig .local/clusters/%s.kubeconfig get deployments,pods
  curl -H "Authorization: Bearer $SWELL_TOKEN" $SWELL_URL/api/v1/orgs/default/clusters
  make down                                        stops all; make clean forgets all
`, time.Since(start).Seconds(), demoClusters[0].name)
	return nil
}

// badImage gives the group an image that does not exist, and shows how far that gets.
func (d *demonstration) badImage(canary, good string) {
	if d.err != nil {
		return
	}
	chat, err := openChat(d.ctx)
	if err != nil {
		d.err = err
		return
	}
	defer chat.close()
	_ = d.command("swell", "receiver", "delete", demoReceiver).Run() // of a demonstration that was cut short
	d.say("Have a chat channel told of runs (here: a server on loopback that takes what Slack takes):",
		"sh", "-c", "echo "+chat.url+" | swell receiver create "+demoReceiver+" --kind slack --url-stdin --event run.failed --event run.partial")
	d.fails("Roll out an image that does not exist: to one cluster first, and back to what was healthy where it fails.",
		"swell", "deploy", demoRelease, "--group", demoGroup, "--chart", "charts/demo", "--reuse-values", "--set", "image.tag=missing",
		"--canary", canary, "--max-failures", "0", "--remediation", "rollback", "--watch")
	d.status("The canary runs what it ran before, the other cluster was never touched:")
	if d.err != nil {
		return
	}
	said := chat.wait(d.ctx, 30*time.Second)
	d.tell("\nThe chat channel got %d message(s):\n", len(said))
	for _, message := range said {
		d.tell("  | %s\n", strings.ReplaceAll(strings.TrimSpace(message), "\n", "\n  | "))
	}
	if len(said) != 1 {
		d.err = fmt.Errorf("the chat channel got %d messages, not one", len(said))
	}
	d.say("Enough of that:", "swell", "receiver", "delete", demoReceiver)
	d.say("Back to the image that runs:", "swell", "rollback", demoRelease, good, "--group", demoGroup, "--watch")
}

// buildHelm builds Helm's own command line, at the version that Swell links: any other helm 3 does as well.
func (s *stack) buildHelm(ctx context.Context) error {
	return s.stage(ctx, "helm", func(ctx context.Context) (string, error) {
		return "built", s.run(ctx, tool{name: "helm", env: environ("CGO_ENABLED=0"), args: []string{
			"go", "build", "-trimpath", "-o", s.local("bin", "helm"), "helm.sh/helm/v3/cmd/helm",
		}})
	})
}

// demonstration runs commands one after the other until one fails.
type demonstration struct {
	*stack
	ctx context.Context //nolint:containedctx // it lives as long as one command of this program
	err error
}

func (d *demonstration) tell(format string, args ...any) {
	_, _ = fmt.Fprintf(d.answer, format, args...)
}

func (d *demonstration) status(why string) {
	d.say(why, "swell", "status", demoRelease, "--group", demoGroup)
}

// once runs the command unless what it makes is there, as probe says.
func (d *demonstration) once(probe []string, why string, command ...string) {
	if d.err == nil && d.command(probe...).Run() == nil {
		d.tell("\n%s Done before.\n", why)
		return
	}
	d.say(why, command...)
}

// say runs the command and returns what it printed.
func (d *demonstration) say(why string, command ...string) string {
	if d.err != nil {
		return ""
	}
	d.tell("\n%s\n$ %s\n", why, shown(command))
	cmd := d.command(command...)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &printed), os.Stderr
	if err := cmd.Run(); err != nil {
		d.err = fmt.Errorf("%s: %w", shown(command), err)
	}
	return printed.String()
}

// fails runs a command that should fail.
func (d *demonstration) fails(why string, command ...string) {
	if d.err != nil {
		return
	}
	d.say(why, command...)
	if d.err == nil {
		d.err = fmt.Errorf("%s: it did not fail", shown(command))
		return
	}
	d.err = nil
}

// found is what a command said that the next one needs.
func found(printed, pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(printed); m != nil {
		return m[1]
	}
	return "what-was-not-printed" // the next command refuses it
}

func (d *demonstration) command(command ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.ctx, "sh", append([]string{"-c", `. .local/env; exec "$@"`, "demo"}, command...)...)
	cmd.Dir = d.root
	cmd.Env = environ("PATH=" + filepath.Join(d.root, "bin") + ":" + d.local("bin") + ":" + os.Getenv("PATH"))
	return cmd
}

// shown is the command as a person would type it.
func shown(command []string) string {
	words := make([]string, len(command))
	for i, word := range command {
		if words[i] = word; strings.Contains(word, " ") {
			words[i] = "'" + word + "'"
		}
	}
	return strings.Join(words, " ")
}
