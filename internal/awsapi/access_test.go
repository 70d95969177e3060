package awsapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/apitest"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/policy"
)

// jsonEcho is a service that speaks JSON and returns its parameters.
func jsonEcho() awsapi.Service {
	shape := query.Structure(
		query.Required("text", &query.Shape{Kind: query.KindText, Max: 5}),
		query.Optional("number", query.Integer(1, 9)),
		query.Optional("flag", query.Boolean()),
		query.Optional("at", query.Time()),
		query.Optional("list", query.List("member", query.Structure(query.Required("key", query.Text())))),
	)
	return awsapi.Service{Name: "jecho", Target: "Echo", Actions: []awsapi.Action{{
		Name: "Say", Input: shape, Output: shape,
		Handle: func(_ context.Context, _ awsapi.Caller, in query.Value) (query.Value, error) {
			if in.Text("text") == "gone" {
				return query.Value{}, fault.Code{Name: "ResourceNotFoundException", Status: http.StatusBadRequest}.Errorf("it is <gone>")
			}
			if in.Text("text") == "panic" {
				panic("inner detail")
			}
			return in, nil
		},
	}}}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	server := apitest.Serve(t, []awsapi.Service{{Name: "echo", Namespace: "urn:echo"}, jsonEcho()})
	send := func(c apitest.Call) apitest.Reply {
		t.Helper()
		reply := apitest.Send(t, server, c)
		if len(reply.Header.Get("x-amzn-RequestId")) != 36 || reply.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
			t.Errorf("%+v: the header is %v", c, reply.Header)
		}
		return reply
	}
	for body, want := range map[string]string{
		`{"text":"a"}`: `{"text":"a"}`,
		`{"text":"é<","number":9,"flag":true,"at":"2026-01-02T03:04:05Z","list":[{"key":"k"},{"key":""}]}`: `{"at":"2026-01-02T03:04:05.000Z","flag":true,"list":[{"key":"k"},{"key":""}],"number":9,"text":"é\u003c"}`,
		` {"text":"a","number":null,"later":{"x":1}} `:                                                     `{"text":"a"}`,
	} {
		if reply := send(apitest.Call{Service: "jecho", Target: "Echo.Say", Body: body}); reply.Status != 200 || reply.Body != want {
			t.Errorf("%s: %d %s", body, reply.Status, reply.Body)
		}
	}
	for _, test := range []struct {
		name   string
		call   apitest.Call
		status int
		code   string
		says   string
	}{
		{"fault", apitest.Call{Target: "Echo.Say", Body: `{"text":"gone"}`}, 400, "ResourceNotFoundException", `it is \u003cgone\u003e`},
		{"panic", apitest.Call{Target: "Echo.Say", Body: `{"text":"panic"}`}, 500, "InternalServerException", ""},
		{"no member", apitest.Call{Target: "Echo.Say", Body: ``}, 400, "ValidationException", "text"},
		{"too long", apitest.Call{Target: "Echo.Say", Body: `{"text":"123456"}`}, 400, "ValidationException", "too long"},
		{"wrong type", apitest.Call{Target: "Echo.Say", Body: `{"text":1}`}, 400, "SerializationException", "text"},
		{"not whole", apitest.Call{Target: "Echo.Say", Body: `{"text":"a","number":1.5}`}, 400, "SerializationException", "number"},
		{"not JSON", apitest.Call{Target: "Echo.Say", Body: `{`}, 400, "SerializationException", "not valid JSON"},
		{"no object", apitest.Call{Target: "Echo.Say", Body: `[]`}, 400, "SerializationException", "the request"},
		{"element", apitest.Call{Target: "Echo.Say", Body: `{"text":"a","list":[{}]}`}, 400, "ValidationException", "list[0].key"},
		{"no action", apitest.Call{Target: "Echo.Shout"}, 400, "UnknownOperationException", "Shout"},
		{"another service's target", apitest.Call{Target: "Other.Say"}, 400, "UnknownOperationException", "Other.Say"},
		{"wrong secret", apitest.Call{Target: "Echo.Say", KeyID: apitest.KeyID, Secret: "x"}, 400, "InvalidSignatureException", ""},
		{"unknown key", apitest.Call{Target: "Echo.Say", KeyID: "nobody", Secret: "x"}, 400, "UnrecognizedClientException", ""},
	} {
		test.call.Service = "jecho"
		reply := send(test.call)
		if reply.Status != test.status || !strings.Contains(reply.Body, `"__type":"`+test.code+`"`) || !strings.Contains(reply.Body, test.says) ||
			reply.Header.Get("x-amzn-ErrorType") != test.code || strings.Contains(reply.Body, "inner detail") {
			t.Errorf("%s: %d %v %s", test.name, reply.Status, reply.Header, reply.Body)
		}
	}
	// A form for a service that speaks JSON.
	if reply := apitest.Send(t, server, apitest.Call{Service: "jecho", Body: "Action=Say"}); reply.Status != 400 || !strings.Contains(reply.Body, "SerializationException") {
		t.Errorf("%d %s", reply.Status, reply.Body)
	}
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	clock := now
	server := newServer(t, awsapi.Config{
		Throttle: awsapi.Throttle{Rate: 2, Burst: 3},
		Now:      func() time.Time { return clock },
	})
	count := func(key, secret string) (served int) {
		t.Helper()
		for {
			reply := server.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=a", server.sign(key, secret, clock))
			switch {
			case reply.status == 200:
				served++
			case reply.status == 400 && reply.code == "Throttling" && reply.message == "Rate exceeded":
				return served
			default:
				t.Fatalf("%d %s", reply.status, reply.text)
			}
		}
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 3}, {0, 0}, {499 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 2}, {time.Hour, 3}, {-time.Minute, 0}} {
		clock = clock.Add(step.after)
		if got := count("penstock", secret); got != step.want {
			t.Errorf("after %v: %d requests, want %d", step.after, got, step.want)
		}
	}
	// Each key has its own, and who is not authenticated has none.
	if got := count("other", "x"); got != 3 {
		t.Errorf("another key: %d requests", got)
	}
	if reply := server.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=a", server.sign("penstock", "wrong", clock)); reply.code != "SignatureDoesNotMatch" {
		t.Errorf("%d %s", reply.status, reply.text)
	}
}

// TestPolicyOfAKey: what needs no resource of its own is allowed by action.
func TestPolicyOfAKey(t *testing.T) {
	t.Parallel()
	read := func(action string) *policy.Policy {
		p, faults := policy.ReadIdentity(map[string]any{"Statement": map[string]any{"Effect": "Allow", "Action": action, "Resource": "*"}})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return &p
	}
	server := newServer(t, awsapi.Config{AccessKeys: []awsapi.AccessKey{
		{ID: "yes", Secret: "y", Policy: read("echo:E*")}, {ID: "no", Secret: "n", Policy: read("echo:F*")},
	}})
	if reply := server.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=a", server.sign("yes", "y", now)); reply.status != 200 {
		t.Errorf("%d %s", reply.status, reply.text)
	}
	reply := server.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=a", server.sign("no", "n", now))
	if want := "User: arn:aws:iam::123456789012:user/no is not authorized to perform: echo:Echo on resource: * because no identity-based policy allows the echo:Echo action"; reply.status != 403 || reply.code != "AccessDenied" || reply.message != want {
		t.Errorf("%d %s", reply.status, reply.text)
	}
}
