// Package arn names resources as AWS does, in Amazon Resource Names.
package arn

import "cmp"

// Owner is the account and the region that resources are said to be in.
type Owner struct {
	Account string // 12 digits; empty is 000000000000
	Region  string // empty is us-east-1
}

// OrDefault returns o without empty fields.
func (o Owner) OrDefault() Owner {
	return Owner{Account: cmp.Or(o.Account, "000000000000"), Region: cmp.Or(o.Region, "us-east-1")}
}

// Stream is the ARN of a data stream.
func (o Owner) Stream(name string) string { return o.of("kinesis", "stream/", name) }

// DeliveryStream is the ARN of a delivery stream.
func (o Owner) DeliveryStream(name string) string { return o.of("firehose", "deliverystream/", name) }

func (o Owner) of(service, kind, name string) string {
	o = o.OrDefault()
	return "arn:aws:" + service + ":" + o.Region + ":" + o.Account + ":" + kind + name
}
