package kinesis

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// resources makes a stream and a consumer of it, and returns their ARNs.
func (s *server) resources() (stream, consumer string) {
	s.t.Helper()
	s.create("s", 1)
	stream = s.summary("s").StreamARN
	consumer = must[RegisterStreamConsumerOutput](s, "RegisterStreamConsumer", doc{"StreamARN": stream, "ConsumerName": "c"}).Consumer.ConsumerARN
	return stream, consumer
}

func TestTagsOfAStreamAndOfItsConsumerAreKeptApart(t *testing.T) {
	s := newServer(t, Config{})
	stream, consumer := s.resources()
	must[any](s, "AddTagsToStream", doc{"StreamName": "s", "Tags": doc{"b": "1", "a": "", "ü0 _.": "x"}})
	must[any](s, "TagResource", doc{"ResourceARN": stream, "Tags": doc{"b": "2", "/=+-@:": "y"}})
	must[any](s, "TagResource", doc{"ResourceARN": consumer, "Tags": doc{"of": "the consumer"}})
	s.restart()
	want := []Tag{{"/=+-@:", "y"}, {"a", ""}, {"b", "2"}, {"ü0 _.", "x"}}
	for arn, want := range map[string][]Tag{stream: want, consumer: {{"of", "the consumer"}}} {
		if got := must[ListTagsForResourceOutput](s, "ListTagsForResource", doc{"ResourceARN": arn}).Tags; !reflect.DeepEqual(got, want) {
			t.Errorf("%s has the tags %v, want %v", arn, got, want)
		}
	}
	if got := must[ListTagsForStreamOutput](s, "ListTagsForStream", doc{"StreamARN": stream}); !reflect.DeepEqual(got.Tags, want) || got.HasMoreTags {
		t.Errorf("the stream has the tags %v, want %v", got, want)
	}

	must[any](s, "RemoveTagsFromStream", doc{"StreamName": "s", "TagKeys": []string{"a", "none"}})
	must[any](s, "UntagResource", doc{"ResourceARN": stream, "TagKeys": []string{"b"}})
	must[any](s, "UntagResource", doc{"ResourceARN": consumer, "TagKeys": []string{"of", "b"}})
	if got := must[ListTagsForStreamOutput](s, "ListTagsForStream", doc{"StreamName": "s"}).Tags; !reflect.DeepEqual(got, []Tag{want[0], want[3]}) {
		t.Errorf("the stream keeps the tags %v", got)
	}
	if got := must[ListTagsForResourceOutput](s, "ListTagsForResource", doc{"ResourceARN": consumer}).Tags; len(got) != 0 || got == nil {
		t.Errorf("the consumer keeps the tags %#v", got)
	}
}

func TestTagsInPages(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	tags := doc{}
	for i := range 50 {
		tags[fmt.Sprintf("key %02d", i)] = "x"
	}
	must[any](s, "AddTagsToStream", doc{"StreamName": "s", "Tags": tags})
	var all []Tag
	for in := (doc{"StreamName": "s", "Limit": 20}); ; {
		page := must[ListTagsForStreamOutput](s, "ListTagsForStream", in)
		all = append(all, page.Tags...)
		if !page.HasMoreTags {
			break
		}
		if len(page.Tags) != 20 {
			t.Fatalf("a page has %d tags", len(page.Tags))
		}
		in["ExclusiveStartTagKey"] = page.Tags[19].Key
	}
	if len(all) != 50 || all[0].Key != "key 00" || all[49].Key != "key 49" {
		t.Errorf("the pages hold %d tags: %v", len(all), all)
	}
}

func TestTagsAreRefused(t *testing.T) {
	s := newServer(t, Config{})
	stream, consumer := s.resources()
	full := doc{}
	for i := range 49 {
		full[fmt.Sprint(i)] = ""
	}
	must[any](s, "AddTagsToStream", doc{"StreamName": "s", "Tags": full})
	must[any](s, "TagResource", doc{"ResourceARN": consumer, "Tags": full})
	s.refused("AddTagsToStream", doc{"StreamName": "s", "Tags": doc{"0": "again", "a": "", "b": ""}}, "InvalidArgumentException",
		"Failed to add tags to stream s under account 123456789012 because a given stream cannot have more than 50 tags associated with it.")
	s.refused("TagResource", doc{"ResourceARN": consumer, "Tags": doc{"a": "", "b": ""}}, "InvalidArgumentException",
		"Failed to add tags to consumer c of stream s under account 123456789012 because a given consumer cannot have more than 50 tags associated with it.")
	must[any](s, "TagResource", doc{"ResourceARN": stream, "Tags": doc{"0": "again", "a": ""}})
	const invalid = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @ :."
	for _, key := range []string{"abc;def", "abc\tdef", "abc\ndef", "abc,def", "😀"} {
		s.refused("AddTagsToStream", doc{"StreamName": "s", "Tags": doc{"a": key}}, "InvalidArgumentException", invalid)
		s.refused("RemoveTagsFromStream", doc{"StreamName": "s", "TagKeys": []string{key}}, "InvalidArgumentException", invalid)
	}
	const illegal = " because some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@',':'."
	s.refused("AddTagsToStream", doc{"StreamName": "s", "Tags": doc{"abc%def": ""}}, "InvalidArgumentException",
		"Failed to add tags to stream s under account 123456789012"+illegal)
	s.refused("RemoveTagsFromStream", doc{"StreamName": "s", "TagKeys": []string{"abc%def"}}, "InvalidArgumentException",
		"Failed to remove tags from stream s under account 123456789012"+illegal)
	s.refused("RemoveTagsFromStream", doc{"StreamName": "t", "TagKeys": []string{";"}}, "ResourceNotFoundException",
		"Stream t under account 123456789012 not found.")
	other := strings.Replace(stream, "us-east-1", "eu-west-1", 1)
	s.refused("ListTagsForResource", doc{"ResourceARN": other}, "ResourceNotFoundException", "Stream s under account 123456789012 not found.")
	s.refused("ListTagsForResource", doc{"ResourceARN": stream + "/consumer/d:1"}, "ResourceNotFoundException",
		"Consumer d under stream s and account 123456789012 not found.")
}
