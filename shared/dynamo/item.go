package dynamo

import (
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// head is what every item begins with. An index key that is empty is left out: the indexes are sparse.
type head struct {
	PK     string
	SK     string
	GSI1PK string `dynamodbav:",omitempty"`
	GSI1SK string `dynamodbav:",omitempty"`
	GSI2PK string `dynamodbav:",omitempty"`
	GSI2SK string `dynamodbav:",omitempty"`
	DuePK  string `dynamodbav:",omitempty"`
	DueSK  string `dynamodbav:",omitempty"`
}

func headOf(k key) head { return head{PK: k.PK, SK: k.SK} }

// stamp is a time as it is stored: text that sorts as the time does, to the nanosecond. No time is null, and left out of an item.
type stamp struct{ time.Time }

// MarshalDynamoDBAttributeValue implements attributevalue.Marshaler.
func (s stamp) MarshalDynamoDBAttributeValue() (types.AttributeValue, error) {
	if s.IsZero() {
		return &types.AttributeValueMemberNULL{Value: true}, nil
	}
	return &types.AttributeValueMemberS{Value: sortable(s.Time)}, nil
}

// UnmarshalDynamoDBAttributeValue implements attributevalue.Unmarshaler.
func (s *stamp) UnmarshalDynamoDBAttributeValue(av types.AttributeValue) error {
	s.Time = time.Time{}
	switch v := av.(type) {
	case *types.AttributeValueMemberNULL:
		return nil
	case *types.AttributeValueMemberS:
		t, err := time.Parse(sortableLayout, v.Value)
		if err != nil {
			return fmt.Errorf("reading a stored time: %w", err)
		}
		s.Time = t
		return nil
	}
	return fmt.Errorf("reading a stored time: it is a %T", av)
}

// marshal leaves out what is null, so that a condition can ask whether it exists.
func marshal(item any) (map[string]types.AttributeValue, error) {
	av, err := attributevalue.MarshalMap(item)
	if err != nil {
		return nil, fmt.Errorf("writing an item as attributes: %w", err)
	}
	maps.DeleteFunc(av, func(_ string, v types.AttributeValue) bool {
		_, null := v.(*types.AttributeValueMemberNULL)
		return null
	})
	return av, nil
}

func unmarshal(av map[string]types.AttributeValue, item any) error {
	if err := attributevalue.UnmarshalMap(av, item); err != nil {
		return fmt.Errorf("reading an item's attributes: %w", err)
	}
	return nil
}

func text(av map[string]types.AttributeValue, name string) string {
	if s, ok := av[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
