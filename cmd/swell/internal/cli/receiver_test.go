package cli_test

import (
	"net/http"
	"slices"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/receiver"
)

func (in *installation) ListReceivers(w http.ResponseWriter, _ *http.Request, _ string, _ openapi.ListReceiversParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	openapi.Write(w, http.StatusOK, openapi.ReceiverList{Items: in.receivers})
}

func (in *installation) CreateReceiver(w http.ResponseWriter, r *http.Request, _ string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if request, ok := body[openapi.ReceiverRequest](in, w, r); ok {
		in.keepReceiver(w, r, http.StatusCreated, request.Name, receiver.Kind(request.Kind), openapi.ReplaceReceiverRequest(request))
	}
}

func (in *installation) ReplaceReceiver(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.ReplaceReceiverParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if request, ok := body[openapi.ReplaceReceiverRequest](in, w, r); ok {
		in.keepReceiver(w, r, http.StatusOK, name, receiver.Webhook, request)
	}
}

// keepReceiver checks by the domain's rules.
func (in *installation) keepReceiver(w http.ResponseWriter, r *http.Request, status int, name string, kind receiver.Kind, request openapi.ReplaceReceiverRequest) {
	made, credential := request.Domain(name, kind)
	err := made.Validate()
	if err == nil && credential != (receiver.Credential{}) {
		err = credential.Validate(kind)
	}
	if err != nil {
		openapi.WriteProblem(w, r, err)
		return
	}
	made.CreatedAt, made.Host = epoch, credential.Host()
	if made.Host == "down.example" {
		made.State = receiver.State{FailingSince: epoch, LastError: "it answered 404 Not Found"}
	}
	in.receivers = slices.DeleteFunc(in.receivers, func(r openapi.Receiver) bool { return r.Name == name })
	in.receivers = append(in.receivers, openapi.ReceiverOf(made))
	openapi.Write(w, status, openapi.ReceiverOf(made))
}

func (in *installation) GetReceiver(w http.ResponseWriter, r *http.Request, _, name string) {
	if found, ok := in.receiver(w, r, name); ok {
		openapi.Write(w, http.StatusOK, found)
	}
}

func (in *installation) receiver(w http.ResponseWriter, r *http.Request, name string) (openapi.Receiver, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.IndexFunc(in.receivers, func(r openapi.Receiver) bool { return r.Name == name })
	if i < 0 {
		missing(w, r, "receiver", name)
		return openapi.Receiver{}, false
	}
	return in.receivers[i], true
}

func (in *installation) TestReceiver(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.TestReceiverParams) {
	if found, ok := in.receiver(w, r, name); ok {
		openapi.Write(w, http.StatusOK, openapi.ReceiverTest{Sent: found.LastError == "", Error: found.LastError})
	}
}

func (in *installation) DeleteReceiver(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.DeleteReceiverParams) {
	if _, ok := in.receiver(w, r, name); !ok {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.receivers = slices.DeleteFunc(in.receivers, func(r openapi.Receiver) bool { return r.Name == name })
	w.WriteHeader(http.StatusNoContent)
}
