package arn

import "testing"

func TestNamesAreThoseOfAWS(t *testing.T) {
	o := Owner{Account: "123456789012", Region: "eu-central-1"}
	for got, want := range map[string]string{
		o.Stream("orders"):         "arn:aws:kinesis:eu-central-1:123456789012:stream/orders",
		o.DeliveryStream("birds"):  "arn:aws:firehose:eu-central-1:123456789012:deliverystream/birds",
		Owner{}.Stream("orders"):   "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
		Owner{}.OrDefault().Region: "us-east-1",
		o.OrDefault().Account:      "123456789012",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
