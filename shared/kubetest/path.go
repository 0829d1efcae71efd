package kubetest

import (
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// place is what a request's method and path mean.
type place struct {
	verb        string
	gv          schema.GroupVersion
	resource    string
	namespace   string
	name        string
	subresource string
}

func (p place) request(r *http.Request) Request {
	return Request{
		Method: r.Method, Verb: p.verb, Group: p.gv.Group, Resource: p.resource, Namespace: p.namespace, Name: p.name, Subresource: p.subresource,
		Path: r.URL.Path, Query: r.URL.RawQuery, UserAgent: r.UserAgent(), Accept: r.Header.Get("Accept"),
	}
}

func parsePath(r *http.Request) place {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	p := place{verb: strings.ToLower(r.Method)}
	switch {
	case parts[0] == "version":
		p.verb = "version"
		return p
	case parts[0] == "openapi":
		p.verb = "openapi"
		return p
	case parts[0] == "api" && len(parts) > 2:
		p.gv = schema.GroupVersion{Version: parts[1]}
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		p.gv = schema.GroupVersion{Group: parts[1], Version: parts[2]}
		parts = parts[3:]
	case parts[0] == "api", parts[0] == "apis":
		p.verb = "discovery"
		return p
	default:
		return p
	}
	p.object(parts)
	p.setVerb(r)
	return p
}

func (p *place) object(parts []string) {
	// /namespaces/x/pods lies in x, while /namespaces/x and its two subresources are the Namespace itself.
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		p.namespace = parts[1]
		parts = parts[2:]
	}
	p.resource = parts[0]
	if len(parts) > 1 {
		p.name = parts[1]
	}
	if len(parts) > 2 {
		p.subresource = strings.Join(parts[2:], "/")
	}
}

func (p *place) setVerb(r *http.Request) {
	watch := r.URL.Query().Get("watch")
	switch r.Method {
	case http.MethodGet:
		switch {
		case watch == "1" || watch == "true":
			p.verb = "watch"
		case p.name == "":
			p.verb = "list"
		}
	case http.MethodPost:
		p.verb = "create"
	case http.MethodPut:
		p.verb = "update"
	case http.MethodDelete:
		if p.name == "" {
			p.verb = "deletecollection"
		}
	}
}
