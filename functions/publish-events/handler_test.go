package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/deadletter"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/run"
)

type fake struct {
	targets []run.Target
	down    error
	refuses string // the id of a run
	told    []event.Event
	dead    []deadletter.Letter
	full    error
}

func (f *fake) NameEvents(_ context.Context, events []event.Event) error {
	for i := range events {
		events[i].Name(event.Names{Groups: map[string]string{"g": "prod"}})
	}
	return f.down
}

func (f *fake) ListTargets(context.Context, string, string) ([]run.Target, error) {
	return f.targets, f.down
}

func (f *fake) Put(_ context.Context, events []event.Event) []error {
	refused := make([]error, len(events))
	for i, e := range events {
		if f.refuses != "" && e.Run.ID == f.refuses {
			refused[i] = errors.New("ThrottlingException")
			continue
		}
		f.told = append(f.told, e)
	}
	return refused
}

func (f *fake) Send(_ context.Context, body any) error {
	if f.full == nil {
		f.dead = append(f.dead, body.(deadletter.Letter))
	}
	return f.full
}

func given(f *fake) handler {
	return handler{store: f, bus: f, dead: f, log: slog.New(slog.DiscardHandler)}
}

func ended(n int) json.RawMessage {
	return fmt.Appendf(nil, `{"dynamodb": {"SequenceNumber": "%[1]d", "Keys": {"PK": {"S": "ORG#a#RUN#r%[1]d"}, "SK": {"S": "RUN"}},
		"OldImage": {"Org": {"S": "a"}, "ID": {"S": "r%[1]d"}, "Status": {"S": "Running"}},
		"NewImage": {"Org": {"S": "a"}, "ID": {"S": "r%[1]d"}, "Status": {"S": "Partial"}, "GroupID": {"S": "g"}}}}`, n)
}

func poison(n int) json.RawMessage {
	return json.RawMessage(strings.Replace(string(ended(n)), `"Status": {"S": "Partial"}`, `"Status": {"S": "Partial"}, "Generation": {"S": "not a number"}`, 1))
}

func TestARunThatEndedIsTold(t *testing.T) {
	f := &fake{targets: []run.Target{{ClusterName: "eu-1", Status: run.TargetSucceeded}, {ClusterName: "eu-2", Status: run.TargetFailed, Code: "not-ready", Cause: "OOMKilled"}}}
	out, err := given(f).handle(t.Context(), batch{Records: []json.RawMessage{ended(1)}})
	if err != nil || out.BatchItemFailures == nil || len(out.BatchItemFailures) != 0 || len(f.told) != 1 {
		t.Fatalf("%v, %+v, told %+v", err, out, f.told)
	}
	e := f.told[0]
	if e.Type != event.RunPartial || e.Group.Name != "prod" || e.Outcome.Succeeded != 1 || len(e.Outcome.Failures) != 1 || e.Outcome.Failures[0].Cause != "OOMKilled" {
		t.Errorf("told %+v of %+v", e, e.Outcome)
	}
}

// One record of a thousand cannot be read: it is put aside with its reason, and the other 999 are told, in batches as Lambda makes them. Put right and
// redriven, it is told too.
func TestOnePoisonRecordOfAThousand(t *testing.T) {
	f := &fake{}
	h := given(f)
	for begin := 0; begin < 1000; begin += 100 {
		var records []json.RawMessage
		for n := begin; n < begin+100; n++ {
			record := ended(n)
			if n == 437 {
				record = poison(n)
			}
			records = append(records, record)
		}
		out, err := h.handle(t.Context(), batch{Records: records})
		if err != nil || len(out.BatchItemFailures) > 0 {
			t.Fatal(err, out)
		}
	}
	if len(f.told) != 999 || len(f.dead) != 1 || !strings.Contains(f.dead[0].Reason, "ORG#a#RUN#r437") {
		t.Fatalf("%d were told, %d are dead", len(f.told), len(f.dead))
	}
	again := json.RawMessage(strings.Replace(string(f.dead[0].Record), "not a number", "", 1))
	again = json.RawMessage(strings.Replace(string(again), `"Generation": {"S": ""}`, `"Generation": {"N": "1"}`, 1))
	if _, err := h.handle(t.Context(), batch{Records: []json.RawMessage{again}}); err != nil || len(f.told) != 1000 {
		t.Errorf("after the redrive %d were told: %v", len(f.told), err)
	}
}

// What the bus does not take is sent again by Lambda, from that record on.
func TestTheBusTakesNotAll(t *testing.T) {
	f := &fake{refuses: "r2"}
	out, err := given(f).handle(t.Context(), batch{Records: []json.RawMessage{ended(1), ended(2), ended(3)}})
	if err != nil || len(out.BatchItemFailures) != 1 || out.BatchItemFailures[0].ItemIdentifier != "2" {
		t.Errorf("%v, %+v", err, out)
	}
	unnumbered := json.RawMessage(strings.Replace(string(ended(2)), "SequenceNumber", "X", 1))
	if _, err := given(f).handle(t.Context(), batch{Records: []json.RawMessage{unnumbered}}); err == nil {
		t.Error("a record without a number that the bus did not take is lost")
	}
}

// A record that cannot be read is put aside once, however often its batch is sent again: by the call after which Lambda goes on behind it.
func TestAPoisonRecordIsPutAsideOnce(t *testing.T) {
	f := &fake{refuses: "r3"}
	records := []json.RawMessage{ended(1), poison(2), ended(3), poison(4), ended(5)}
	for range 3 { // the bus does not take the third
		out, err := given(f).handle(t.Context(), batch{Records: records})
		if err != nil || len(out.BatchItemFailures) != 1 || out.BatchItemFailures[0].ItemIdentifier != "3" {
			t.Fatalf("%v, %+v", err, out)
		}
		records = []json.RawMessage{ended(3), poison(4), ended(5)} // what Lambda sends again
	}
	f.refuses = ""
	if out, err := given(f).handle(t.Context(), batch{Records: records}); err != nil || len(out.BatchItemFailures) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	if len(f.dead) != 2 || !strings.Contains(f.dead[0].Reason, "r2") || !strings.Contains(f.dead[1].Reason, "r4") {
		t.Errorf("%d records were put aside: %+v", len(f.dead), f.dead)
	}
	f.full = errors.New("no queue") // from the record on that could not be put aside
	if out, err := given(f).handle(t.Context(), batch{Records: records}); err != nil || len(out.BatchItemFailures) != 1 || out.BatchItemFailures[0].ItemIdentifier != "4" {
		t.Errorf("%v, %+v", err, out)
	}
}

func TestNothingIsToldWithoutTheTable(t *testing.T) {
	f := &fake{down: errors.New("throttled")}
	if _, err := given(f).handle(t.Context(), batch{Records: []json.RawMessage{ended(1)}}); err == nil || len(f.told) != 0 {
		t.Errorf("told %+v: %v", f.told, err)
	}
	f = &fake{full: errors.New("no queue")}
	unnumbered := json.RawMessage(strings.Replace(string(poison(2)), "SequenceNumber", "X", 1))
	if _, err := given(f).handle(t.Context(), batch{Records: []json.RawMessage{ended(1), unnumbered}}); err == nil {
		t.Error("a record that could not be put aside is lost")
	}
}
