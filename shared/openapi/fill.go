package openapi

import (
	"reflect"
	"strings"
)

// fill returns body with its required lists and maps made, where they are nil: encoding/json would write them as null.
func fill(body any) any {
	v := reflect.ValueOf(body)
	if v.Kind() != reflect.Struct {
		return body
	}
	filled := reflect.New(v.Type()).Elem()
	filled.Set(v)
	fillStruct(filled)
	return filled.Interface()
}

func fillStruct(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Field(i)
		switch field.Kind() {
		case reflect.Slice:
			fillSlice(field, optional(v.Type().Field(i)))
		case reflect.Map:
			if field.IsNil() && !optional(v.Type().Field(i)) {
				field.Set(reflect.MakeMap(field.Type()))
			}
		case reflect.Struct:
			if v.Type().Field(i).IsExported() && field.Type().PkgPath() == v.Type().PkgPath() {
				fillStruct(field)
			}
		}
	}
}

// fillSlice fills a copy: the caller's elements stay as they are.
func fillSlice(field reflect.Value, optional bool) {
	if field.IsNil() {
		if !optional {
			field.Set(reflect.MakeSlice(field.Type(), 0, 0))
		}
		return
	}
	if field.Type().Elem().Kind() != reflect.Struct {
		return
	}
	elements := reflect.MakeSlice(field.Type(), field.Len(), field.Len())
	reflect.Copy(elements, field)
	for i := range elements.Len() {
		fillStruct(elements.Index(i))
	}
	field.Set(elements)
}

func optional(f reflect.StructField) bool {
	return strings.Contains(f.Tag.Get("json"), ",omit")
}
