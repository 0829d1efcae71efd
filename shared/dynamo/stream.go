package dynamo

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/event"
)

// streamRecord is a record of the table's stream, as Lambda hands it on.
type streamRecord struct {
	DynamoDB struct {
		ApproximateCreationDateTime float64 // Unix seconds
		Keys, OldImage, NewImage    image
	} `json:"dynamodb"`
}

// ReadChange reads a record of the table's stream: the item as it was and as it is. An item that no event is about is a change of nothing.
func ReadChange(raw []byte) (event.Change, error) {
	var record streamRecord
	if err := json.Unmarshal(raw, &record); err != nil {
		return event.Change{}, fmt.Errorf("reading a record of the stream: %w", err)
	}
	d := record.DynamoDB
	k := key{PK: text(d.Keys, "PK"), SK: text(d.Keys, "SK")}
	if k.PK == "" || k.SK == "" {
		return event.Change{}, errors.New("reading a record of the stream: it has no key of the table")
	}
	read, err := readerOf(k)
	if err != nil || read == nil {
		return event.Change{}, err
	}
	c := event.Change{At: time.UnixMilli(int64(d.ApproximateCreationDateTime * 1000)).UTC()}
	if c.Before, err = read(d.OldImage); err == nil {
		c.After, err = read(d.NewImage)
	}
	if err != nil {
		return event.Change{}, fmt.Errorf("reading item %s %s of the stream: %w", k.PK, k.SK, err)
	}
	return c, nil
}

type reader func(map[string]types.AttributeValue) (any, error)

// readerOf finds what the item of that key is read as; nil: nothing that an event is about.
func readerOf(k key) (reader, error) {
	pk, sk, err := k.parts()
	if err != nil || len(pk) < 2 || pk[0] != "ORG" {
		return nil, err
	}
	org, within := pk[1], ""
	if len(pk) == 4 {
		within = pk[2]
	}
	switch within + " " + sk[0] {
	case " CLUSTER":
		return readAs(org, fromClusterItem), nil
	case " GROUP":
		return readAs(org, fromGroupItem), nil
	case " DEPLOYMENT":
		return readAs(org, fromDeploymentItem), nil
	case "DEPLOYMENT GEN":
		return readAs(org, fromGenerationItem), nil
	case "CLUSTER RELEASE":
		return readAs(org, fromReleaseItem), nil
	case "RUN RUN":
		if len(sk) == 1 {
			return readAs(org, fromRunItem), nil
		}
	case "RUN TARGET":
		return readAs("", func(i targetItem) event.TargetOf {
			return event.TargetOf{Org: org, RunID: pk[3], Target: fromTargetItem(i)}
		}), nil
	}
	return nil, nil
}

// readAs reads an item, and refuses one that says another org than its key: the store did not write it.
func readAs[I, T any](org string, from func(I) T) reader {
	return func(av map[string]types.AttributeValue) (any, error) {
		if len(av) == 0 {
			return nil, nil // there was no item
		}
		if says := text(av, "Org"); says != org {
			return nil, fmt.Errorf("it says that its org is %q", says)
		}
		var item I
		err := unmarshal(av, &item)
		return from(item), err
	}
}

// image is an item in DynamoDB's JSON.
type image map[string]types.AttributeValue

// UnmarshalJSON implements json.Unmarshaler.
func (i *image) UnmarshalJSON(raw []byte) error {
	var values map[string]value
	if err := json.Unmarshal(raw, &values); err != nil {
		return err
	}
	*i = image{}
	for name, v := range values {
		(*i)[name] = v.AttributeValue
	}
	return nil
}

type value struct{ types.AttributeValue }

// UnmarshalJSON implements json.Unmarshaler.
func (v *value) UnmarshalJSON(raw []byte) error {
	var typed map[string]json.RawMessage
	if err := json.Unmarshal(raw, &typed); err != nil {
		return err
	}
	if len(typed) != 1 {
		return fmt.Errorf("an attribute has %d types", len(typed))
	}
	for name, raw := range typed {
		return v.read(name, raw)
	}
	return nil
}

func (v *value) read(typ string, raw json.RawMessage) (err error) {
	switch typ {
	case "S":
		v.AttributeValue, err = member(raw, func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} })
	case "N":
		v.AttributeValue, err = member(raw, func(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} })
	case "B":
		v.AttributeValue, err = member(raw, func(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} })
	case "BOOL":
		v.AttributeValue, err = member(raw, func(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} })
	case "NULL":
		v.AttributeValue = &types.AttributeValueMemberNULL{Value: true}
	case "SS":
		v.AttributeValue, err = member(raw, func(s []string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: s} })
	case "NS":
		v.AttributeValue, err = member(raw, func(n []string) types.AttributeValue { return &types.AttributeValueMemberNS{Value: n} })
	case "M":
		v.AttributeValue, err = member(raw, func(m image) types.AttributeValue { return &types.AttributeValueMemberM{Value: m} })
	case "L":
		v.AttributeValue, err = member(raw, func(values []value) types.AttributeValue {
			list := make([]types.AttributeValue, len(values))
			for i, one := range values {
				list[i] = one.AttributeValue
			}
			return &types.AttributeValueMemberL{Value: list}
		})
	default:
		return fmt.Errorf("an attribute has the unknown type %q", typ)
	}
	return err
}

func member[T any](raw json.RawMessage, make func(T) types.AttributeValue) (types.AttributeValue, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return make(v), nil
}
