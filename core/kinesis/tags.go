package kinesis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/core/wire"
)

// maxTags is how many tags a stream or a consumer can have.
const maxTags = 50

// Bounds of tags in one request and of their keys and values, in characters, from the model.
const (
	maxTagMap   = 200
	maxTagKeys  = 50
	maxTagKey   = 128
	maxTagValue = 256
)

var tagKey = text{least: 1, most: maxTagKey}

// tagOperations are the operations on the tags of streams and of registered consumers.
func (a *API) tagOperations(ops map[string]wire.Handler) {
	ops["AddTagsToStream"] = operation(a.addTagsToStream)
	ops["RemoveTagsFromStream"] = operation(a.removeTagsFromStream)
	ops["ListTagsForStream"] = operation(a.listTagsForStream)
	ops["TagResource"] = operation(a.tagResource)
	ops["UntagResource"] = operation(a.untagResource)
	ops["ListTagsForResource"] = operation(a.listTagsForResource)
}

func (in *AddTagsToStreamInput) validate(v *violations) {
	v.required("tags", in.Tags == nil)
	v.tags(in.Tags)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) addTagsToStream(ctx context.Context, in *AddTagsToStreamInput) (none, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, a.addTags(ctx, resource{stream: k}, in.Tags)
}

func (in *TagResourceInput) validate(v *violations) {
	resourceARN.need(v, "resourceARN", in.ResourceARN)
	v.required("tags", in.Tags == nil)
	v.tags(in.Tags)
}

func (a *API) tagResource(ctx context.Context, in *TagResourceInput) (none, error) {
	r, err := a.resource(*in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return nil, a.addTags(ctx, r, in.Tags)
}

func (a *API) addTags(ctx context.Context, r resource, tags map[string]string) error {
	if err := a.checkTags("add tags to "+r.String(), tags); err != nil {
		return err
	}
	return r.update(ctx, func(s resourceState) error {
		if *s.tags == nil {
			*s.tags = map[string]string{}
		}
		maps.Copy(*s.tags, tags)
		if len(*s.tags) > maxTags {
			return fail(codeInvalidArgument, "Failed to add tags to %v under account %s because a given %s cannot have more than %d tags associated with it.",
				r, a.cfg.Account, r.kind(), maxTags)
		}
		return nil
	})
}

func (in *RemoveTagsFromStreamInput) validate(v *violations) {
	v.tagKeys(in.TagKeys)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) removeTagsFromStream(ctx context.Context, in *RemoveTagsFromStreamInput) (none, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, a.removeTags(ctx, resource{stream: k}, in.TagKeys)
}

func (in *UntagResourceInput) validate(v *violations) {
	resourceARN.need(v, "resourceARN", in.ResourceARN)
	v.tagKeys(in.TagKeys)
}

func (a *API) untagResource(ctx context.Context, in *UntagResourceInput) (none, error) {
	r, err := a.resource(*in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return nil, a.removeTags(ctx, r, in.TagKeys)
}

// removeTags removes tags. Those that are not there are ignored, as in the service.
func (a *API) removeTags(ctx context.Context, r resource, keys []string) error {
	named := map[string]string{}
	for _, key := range keys {
		named[key] = ""
	}
	if err := a.checkTags("remove tags from "+r.String(), named); err != nil {
		return err
	}
	return r.update(ctx, func(s resourceState) error {
		for _, key := range keys {
			delete(*s.tags, key)
		}
		return nil
	})
}

func (in *ListTagsForStreamInput) validate(v *violations) {
	within(v, "limit", in.Limit, 1, maxTags)
	tagKey.check(v, "exclusiveStartTagKey", in.ExclusiveStartTagKey)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) listTagsForStream(_ context.Context, in *ListTagsForStreamInput) (*ListTagsForStreamOutput, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	tags := tagShapes(k.meta().Tags)
	if after := in.ExclusiveStartTagKey; after != nil {
		tags = slices.DeleteFunc(tags, func(t Tag) bool { return t.Key <= *after })
	}
	more := in.Limit != nil && len(tags) > int(*in.Limit)
	if more {
		tags = tags[:*in.Limit]
	}
	return &ListTagsForStreamOutput{Tags: tags, HasMoreTags: more}, nil
}

func (in *ListTagsForResourceInput) validate(v *violations) {
	resourceARN.need(v, "resourceARN", in.ResourceARN)
}

func (a *API) listTagsForResource(_ context.Context, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	r, err := a.resource(*in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &ListTagsForResourceOutput{Tags: tagShapes(r.tags())}, nil
}

// tagShapes lists tags by their keys.
func tagShapes(tags map[string]string) []Tag {
	out := make([]Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, Tag{Key: key, Value: tags[key]})
	}
	return out
}

// checkTags refuses tags with characters that no tag can have. The two texts are the service's: the percent sign passes
// its first check.
func (a *API) checkTags(doing string, tags map[string]string) error {
	percent := false
	for key, value := range tags {
		for _, c := range key + value {
			if !inTag(c) {
				return fail(codeInvalidArgument, "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - %% @ :.")
			}
			percent = percent || c == '%'
		}
	}
	if percent {
		return fail(codeInvalidArgument, "Failed to %s under account %s because some tags contained illegal characters. "+
			"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@',':'.", doing, a.cfg.Account)
	}
	return nil
}

// inTag tells whether a tag may have c. The bounds are the service's, as recorded from it.
func inTag(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("_./-=+ @%:", c) ||
		0xc0 <= c && c <= 0x1fff || 0x2c00 <= c && c <= 0xd7ff
}

// tags notes how the tags of a request violate the model.
func (v *violations) tags(tags map[string]string) {
	if tags == nil {
		return
	}
	pairs := make([]string, 0, len(tags))
	keys, values := true, true
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, key+"="+tags[key])
		keys = keys && len(key) > 0 && utf8.RuneCountInString(key) <= maxTagKey
		values = values && utf8.RuneCountInString(tags[key]) <= maxTagValue
	}
	all := shown("{" + strings.Join(pairs, ", ") + "}")
	if n := len(tags); n < 1 {
		v.add(all, "tags", "have length greater than or equal to 1")
	} else if n > maxTagMap {
		v.add(all, "tags", fmt.Sprintf("have length less than or equal to %d", maxTagMap))
	}
	const lengths = "Value '%s' at 'tags' failed to satisfy constraint: Map %s must satisfy constraint: " +
		"[Member must have length less than or equal to %d, Member must have length greater than or equal to %d]"
	if !keys {
		v.note(fmt.Sprintf(lengths, all, "keys", maxTagKey, 1))
	}
	if !values {
		v.note(fmt.Sprintf(lengths, all, "value", maxTagValue, 0))
	}
}

// tagKeys notes how the keys of tags to remove violate the model.
func (v *violations) tagKeys(keys []string) {
	v.required("tagKeys", keys == nil)
	v.list("tagKeys", keys, 1, maxTagKeys, func(key string) bool { return len(key) > 0 && utf8.RuneCountInString(key) <= maxTagKey },
		fmt.Sprintf("Member must have length less than or equal to %d, Member must have length greater than or equal to 1", maxTagKey))
}

// list notes how a list of strings violates the model: its length, and then what is wanted of each member.
func (v *violations) list(path string, list []string, least, most int, member func(string) bool, constraints string) {
	if list == nil {
		return
	}
	all := "[" + strings.Join(list, ", ") + "]"
	if len(list) < least {
		v.add(all, path, fmt.Sprintf("have length greater than or equal to %d", least))
	} else if len(list) > most {
		v.add(all, path, fmt.Sprintf("have length less than or equal to %d", most))
	}
	if slices.ContainsFunc(list, func(s string) bool { return !member(s) }) {
		v.add(all, path, "satisfy constraint: ["+constraints+"]")
	}
}
