package kubetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SetLog says what every container wrote; until then there are no logs.
func (s *Server) SetLog(text string) { s.locked(func() { s.log = text }) }

// writeLog answers as a kubelet does: the last lines first, and of them the first bytes.
func (s *Server) writeLog(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	text := s.log
	s.mu.Unlock()
	if text == "" {
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "the container has no log"))
		return
	}
	lines := slices.Collect(strings.Lines(text))
	if n, err := strconv.Atoi(r.URL.Query().Get("tailLines")); err == nil {
		text = strings.Join(lines[max(0, len(lines)-n):], "")
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("limitBytes")); err == nil {
		text = text[:min(len(text), n)]
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte(text)) // who asked may be gone
}
