package source

import (
	"net/http"
	"strings"
)

// parseGHCR reads the events package and registry_package, which GitHub sends for its container registry.
func parseGHCR(header http.Header, body []byte) (Event, error) {
	type published struct {
		Name           string
		Namespace      string
		PackageType    string `json:"package_type"`
		PackageVersion struct {
			ContainerMetadata struct {
				Tag struct{ Name string }
			} `json:"container_metadata"`
		} `json:"package_version"`
		Owner struct{ Login string }
	}
	type payload struct {
		Action          string
		Package         published
		RegistryPackage published `json:"registry_package"`
	}
	p, err := decode[payload](body)
	if err != nil {
		return Event{}, err
	}
	event := header.Get("X-GitHub-Event")
	e := Event{Delivery: header.Get("X-GitHub-Delivery"), Kind: Other, What: event}
	found := p.Package
	if event == "registry_package" {
		found = p.RegistryPackage
	}
	switch {
	case event == "ping":
		e.Kind, e.What = Ping, ""
	case event != "package" && event != "registry_package":
	case p.Action != "published" && p.Action != "updated", !strings.EqualFold(found.PackageType, "container"):
		e.What = event + "." + p.Action
	default:
		e.Kind, e.What = ImagePush, ""
		e.Image, e.Tag = strings.ToLower(found.Owner.Login+"/"+found.Name), found.PackageVersion.ContainerMetadata.Tag.Name
	}
	return e, nil
}
