package kinesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/wire"
)

// maxPolicy is the largest policy in bytes, as for the resource policies of other services.
const maxPolicy = 20 << 10

// policyOperations are the operations on the policies of streams and of registered consumers. Policies are stored and
// returned; nothing evaluates them yet. The texts of errors are leat's own.
func (a *API) policyOperations(ops map[string]wire.Handler) {
	ops["PutResourcePolicy"] = operation(a.putResourcePolicy)
	ops["GetResourcePolicy"] = operation(a.getResourcePolicy)
	ops["DeleteResourcePolicy"] = operation(a.deleteResourcePolicy)
}

func (in *PutResourcePolicyInput) validate(v *violations) {
	v.required("policy", in.Policy == nil)
	resourceARN.need(v, "resourceARN", in.ResourceARN)
}

func (a *API) putResourcePolicy(ctx context.Context, in *PutResourcePolicyInput) (none, error) {
	r, err := a.resource(*in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if err := checkPolicy(*in.Policy); err != nil {
		return nil, fail(codeInvalidArgument, "The resource policy is malformed: %v.", err)
	}
	return nil, r.update(ctx, func(s resourceState) error {
		*s.policy = *in.Policy
		return nil
	})
}

func (in *GetResourcePolicyInput) validate(v *violations) {
	resourceARN.need(v, "resourceARN", in.ResourceARN)
}

func (a *API) getResourcePolicy(_ context.Context, in *GetResourcePolicyInput) (*GetResourcePolicyOutput, error) {
	r, err := a.resource(*in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if r.policy() == "" {
		return nil, noPolicy(*in.ResourceARN)
	}
	return &GetResourcePolicyOutput{Policy: r.policy()}, nil
}

func (in *DeleteResourcePolicyInput) validate(v *violations) {
	resourceARN.need(v, "resourceARN", in.ResourceARN)
}

func (a *API) deleteResourcePolicy(ctx context.Context, in *DeleteResourcePolicyInput) (none, error) {
	r, err := a.resource(*in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return nil, r.update(ctx, func(s resourceState) error {
		if *s.policy == "" {
			return noPolicy(*in.ResourceARN)
		}
		*s.policy = ""
		return nil
	})
}

func noPolicy(arn string) error {
	return fail(codeResourceNotFound, "No resource policy found for resource %s.", arn)
}

// policyVersions are the versions of the language of policies.
var policyVersions = []string{"2012-10-17", "2008-10-17"}

// policyStatement is a statement of a policy, as far as it is checked: that it has each of the elements that it must have,
// in one of their two forms, and no others.
type policyStatement struct {
	Sid          string
	Effect       string
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Action       json.RawMessage
	NotAction    json.RawMessage
	Resource     json.RawMessage
	NotResource  json.RawMessage
	Condition    map[string]map[string]json.RawMessage
}

// checkPolicy tells what keeps a text from being a policy document for a resource (IAM JSON policy elements reference).
func checkPolicy(policy string) error {
	if len(policy) > maxPolicy {
		return fmt.Errorf("it has %d bytes, at most %d are allowed", len(policy), maxPolicy)
	}
	var document struct {
		Version   string
		Id        string
		Statement json.RawMessage
	}
	if err := decodeStrictly(policy, &document); err != nil {
		return err
	}
	if document.Version != "" && !slices.Contains(policyVersions, document.Version) {
		return fmt.Errorf("its Version is %.20q, not one of %q", document.Version, policyVersions)
	}
	var statements []json.RawMessage
	if err := json.Unmarshal(document.Statement, &statements); err != nil {
		statements = []json.RawMessage{document.Statement} // one statement needs no list
	}
	if len(document.Statement) == 0 || len(statements) == 0 {
		return errors.New("it has no Statement")
	}
	for i, text := range statements {
		if err := checkStatement(text); err != nil {
			return fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return nil
}

func checkStatement(text json.RawMessage) error {
	var s policyStatement
	if err := decodeStrictly(string(text), &s); err != nil {
		return err
	}
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return fmt.Errorf("its Effect is %.20q, not Allow or Deny", s.Effect)
	}
	for _, element := range []struct {
		name      string
		is, isNot json.RawMessage
	}{
		{"Principal", s.Principal, s.NotPrincipal},
		{"Action", s.Action, s.NotAction},
		{"Resource", s.Resource, s.NotResource},
	} {
		if (element.is == nil) == (element.isNot == nil) {
			return fmt.Errorf("it must have either %s or Not%s", element.name, element.name)
		}
		if err := checkElement(element.name, append(element.is, element.isNot...)); err != nil {
			return err
		}
	}
	return nil
}

// checkElement checks the value of an element: one string or several, for principals also by their kinds.
func checkElement(name string, value json.RawMessage) error {
	var kinds map[string]json.RawMessage
	if name == "Principal" && json.Unmarshal(value, &kinds) == nil && len(kinds) > 0 {
		for _, of := range kinds {
			if err := checkElement(name+" of a kind", of); err != nil {
				return err
			}
		}
		return nil
	}
	var one string
	var several []string
	if json.Unmarshal(value, &one) == nil && one != "" || json.Unmarshal(value, &several) == nil && len(several) > 0 {
		return nil
	}
	return fmt.Errorf("its %s is neither a string nor a list of strings", name)
}

// decodeStrictly reads one JSON object that has no members but those of into, and nothing after it.
func decodeStrictly(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Field == "":
		return fmt.Errorf("a JSON %s stands where an object should", mistyped.Value)
	case errors.As(err, &mistyped):
		return fmt.Errorf("its %s is a JSON %s", mistyped.Field, mistyped.Value)
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return errors.New("it ends too early")
	case err != nil:
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the document")
	}
	return nil
}
