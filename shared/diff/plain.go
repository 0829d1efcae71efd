package diff

import "encoding/json"

// Plain is a scalar as a template prints it.
func Plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
