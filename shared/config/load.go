// Package config is the only reader of the environment: a function's settings, and how it reaches AWS.
package config

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Load fills the struct that into points at from the environment, by its fields' tags:
//
//	Table   string        `env:"TABLE_NAME,required"`
//	Timeout time.Duration `env:"TIMEOUT" default:"30s"`
//
// A field may be a string, bool, int, int64, time.Duration, anything that is an encoding.TextUnmarshaler, or a list of those with commas
// between. A field without the tag is left alone. All that is wrong is said at once, by name; values are not repeated.
func Load(_ context.Context, into any) error {
	p := reflect.ValueOf(into)
	if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("loading settings: %T is no pointer to a struct", into)
	}
	var faults []error
	s := p.Elem()
	for i := range s.NumField() {
		field := s.Type().Field(i)
		tag, ok := field.Tag.Lookup("env")
		if !ok {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		text := os.Getenv(name)
		if text == "" {
			text = field.Tag.Get("default")
		}
		if text == "" {
			if option == "required" {
				faults = append(faults, fmt.Errorf("%s is required and not set", name))
			}
			continue
		}
		if err := fill(s.Field(i), text); err != nil {
			faults = append(faults, fmt.Errorf("%s %w", name, err))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("loading settings: %w", errors.Join(faults...))
	}
	return nil
}

func fill(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if u.UnmarshalText([]byte(text)) != nil {
			return fmt.Errorf("is no %s", v.Type())
		}
		return nil
	}
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
		return nil
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("is neither true nor false")
		}
		v.SetBool(b)
		return nil
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("is no duration such as 90s")
		}
		v.SetInt(int64(d))
		return nil
	case int, int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("is no whole number")
		}
		v.SetInt(n)
		return nil
	}
	if v.Kind() != reflect.Slice {
		return fmt.Errorf("has a type that cannot be read: %s", v.Type())
	}
	for part := range strings.SplitSeq(text, ",") {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := fill(element, strings.TrimSpace(part)); err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	return nil
}
