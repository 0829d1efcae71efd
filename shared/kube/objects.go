package kube

// Objects reads the objects of a manifest, in its order.
func Objects(manifest []byte) ([]map[string]any, error) {
	parsed, err := parse(manifest, nil)
	if err != nil {
		return nil, err
	}
	objects := make([]map[string]any, 0, len(parsed))
	for _, u := range parsed {
		objects = append(objects, u.Object)
	}
	return objects, nil
}
