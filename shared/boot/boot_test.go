package boot_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
)

type settings struct {
	Table  string `env:"TABLE_NAME,required"`
	Bucket string `env:"BUCKET_NAME,required"`
}

func TestAFunctionThatLacksASettingDoesNotStart(t *testing.T) {
	cases := map[string]struct {
		env  map[string]string
		says []string
	}{
		"its own":            {map[string]string{"TABLE_NAME": "", "BUCKET_NAME": ""}, []string{"TABLE_NAME", "BUCKET_NAME"}},
		"what all have":      {map[string]string{"LOG_LEVEL": "loud", "TABLE_NAME": "t", "BUCKET_NAME": "b"}, []string{"LOG_LEVEL"}},
		"a value is no text": {map[string]string{"TABLE_NAME": "t", "BUCKET_NAME": ""}, []string{"BUCKET_NAME"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			err := boot.Start(func(settings, aws.Config, *slog.Logger) any {
				t.Error("it was wired")
				return nil
			})
			if err == nil {
				t.Fatal("it started")
			}
			for _, name := range c.says {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%v does not name %s", err, name)
				}
			}
		})
	}
}
