package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/problem"
)

// validateTemplate tries the template on two events of each type that the receiver wants: one with every field, where one that it asks for must be; and
// one with those fields alone that are always there, where none may be missed.
func (r Receiver) validateTemplate() error {
	if r.Template == "" {
		return nil
	}
	if r.Kind == Webhook {
		return problem.Invalid(codeInvalid, "a webhook gets the event itself").At("template").Try("leave the template out")
	}
	t, err := parseTemplate(r.Template)
	if err != nil {
		return templateInvalid(err)
	}
	anywhere := Receiver{Events: r.Events}
	for _, kind := range event.Kinds {
		if !anywhere.Wants(event.Event{Type: kind.Type}) {
			continue
		}
		if _, err := t.execute(generic(example(kind, true)), true); err != nil {
			return templateInvalid(fmt.Errorf("%s: %w", kind.Type, err))
		}
		if _, err := t.execute(generic(example(kind, false)), false); err != nil {
			return templateInvalid(fmt.Errorf("%s: %w", kind.Type, err))
		}
	}
	return nil
}

func templateInvalid(err error) error {
	return problem.Invalid("template-invalid", "the template cannot be used: %v", err).At("template").
		Try("it sees the event as docs/events.md has it, such as {{.run.id}}; ask with {{with .target.remedy}} for what may be absent")
}

// text is what the receiver is told of the event, by its template. It is empty if there is none, or if it fails for this event: the receiver is told
// all the same, in Swell's words.
func (r Receiver) text(e event.Event) string {
	if r.Template == "" {
		return ""
	}
	t, err := parseTemplate(r.Template)
	if err != nil {
		return ""
	}
	text, err := t.execute(generic(e), false)
	if err != nil {
		return ""
	}
	return text
}

// generic is the event as its JSON has it.
func generic(e event.Event) any {
	raw, err := json.Marshal(e)
	if err != nil { // it holds text, numbers and times
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil {
		return nil
	}
	return v
}

// example is an event of the kind with every field, or with those alone that are always there.
func example(kind event.Kind, whole bool) event.Event {
	e := event.Event{Type: kind.Type}
	v := reflect.ValueOf(&e).Elem()
	for _, part := range kind.Parts {
		name := strings.TrimSuffix(part, "?") // the optional are there but in rare events: text does without the template then
		for i := range v.NumField() {
			if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); tag == name {
				fill(v.Field(i), whole)
			}
		}
	}
	return e
}

// fill makes every field of v something; or, not whole, what it is made of and no more.
func fill(v reflect.Value, whole bool) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), whole)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), whole)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			if whole {
				v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
			}
			return
		}
		for i := range v.NumField() {
			if whole || v.Field(i).Kind() == reflect.Slice {
				fill(v.Field(i), whole)
			}
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	}
}
