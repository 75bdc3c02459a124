// The CloudEvents SDK for Go, driven by lines of JSON: see peer.ts of the test.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"
)

type eventToMake struct {
	ID              string  `json:"id"`
	Source          string  `json:"source"`
	Type            string  `json:"type"`
	Subject         *string `json:"subject"`
	Time            *string `json:"time"`
	DataSchema      *string `json:"dataschema"`
	DataContentType *string `json:"datacontenttype"`
	Extensions      []struct{ Name, Type, Value string }
	Data            *struct {
		JSON  json.RawMessage
		Text  *string
		Bytes []byte
	}
}

type order struct {
	Command, URL, Brokers, Topic, Group, Mode string
	Event                                     eventToMake
	Events                                    []eventToMake
}

var (
	output   = json.NewEncoder(os.Stdout)
	speaking sync.Mutex
	reply    eventToMake
)

func say(line map[string]any) {
	speaking.Lock()
	defer speaking.Unlock()
	must(output.Encode(line))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func made(from eventToMake) (cloudevents.Event, error) {
	event := cloudevents.NewEvent()
	event.SetID(from.ID)
	event.SetSource(from.Source)
	event.SetType(from.Type)
	if from.Subject != nil {
		event.SetSubject(*from.Subject)
	}
	if from.Time != nil {
		at, err := types.ParseTime(*from.Time)
		if err != nil {
			return event, err
		}
		event.SetTime(at)
	}
	if from.DataSchema != nil {
		event.SetDataSchema(*from.DataSchema)
	}
	for _, extension := range from.Extensions {
		value, err := valueOf(extension.Type, extension.Value)
		if err != nil {
			return event, err
		}
		event.SetExtension(extension.Name, value)
	}
	return event, setData(&event, from)
}

func valueOf(kind, value string) (any, error) {
	switch kind {
	case "integer":
		number, err := strconv.ParseInt(value, 10, 32)
		return int32(number), err
	case "boolean":
		return value == "true", nil
	case "uri":
		return types.ParseURI(value), nil
	case "urireference":
		return types.ParseURIRef(value), nil
	case "timestamp":
		return types.ParseTimestamp(value)
	case "binary":
		return base64.StdEncoding.DecodeString(value)
	}
	return value, nil
}

func setData(event *cloudevents.Event, from eventToMake) error {
	contentType := ""
	if from.DataContentType != nil {
		contentType = *from.DataContentType
	}
	switch {
	case from.Data == nil:
		return nil
	case from.Data.Bytes != nil:
		return event.SetData(contentType, from.Data.Bytes)
	case from.Data.Text != nil:
		return event.SetData(contentType, *from.Data.Text)
	}
	return event.SetData(contentType, from.Data.JSON)
}

// told is what the SDK makes of a message, as the test compares it.
func told(event cloudevents.Event) map[string]any {
	attributes := map[string]string{
		"specversion": event.SpecVersion(), "id": event.ID(), "source": event.Source(), "type": event.Type(),
	}
	optional := map[string]string{
		"subject": event.Subject(), "dataschema": event.DataSchema(), "datacontenttype": event.DataContentType(),
	}
	for name, value := range optional {
		if value != "" {
			attributes[name] = value
		}
	}
	if !event.Time().IsZero() {
		attributes["time"] = types.FormatTime(event.Time())
	}
	for name, value := range event.Extensions() {
		text, err := types.Format(value)
		must(err)
		attributes[name] = text
	}
	line := map[string]any{"attributes": attributes, "data": nil}
	if event.Data() != nil {
		line["data"] = map[string][]byte{"bytes": event.Data()}
	}
	return line
}

func post(url, mode string, events []eventToMake) []any {
	if mode == "batch" {
		return postBatch(url, events)
	}
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(url))
	must(err)
	return sendEach(client, mode, events)
}

func postBatch(url string, events []eventToMake) []any {
	var batch []cloudevents.Event
	for _, from := range events {
		event, err := made(from)
		must(err)
		batch = append(batch, event)
	}
	request, err := cloudevents.NewHTTPRequestFromEvents(context.Background(), url, batch)
	if err != nil {
		return []any{err.Error()}
	}
	response, err := http.DefaultClient.Do(request)
	must(err)
	response.Body.Close()
	return []any{response.StatusCode}
}

func sendEach(client cloudevents.Client, mode string, events []eventToMake) []any {
	ctx := cloudevents.WithEncodingBinary(context.Background())
	if mode == "structured" {
		ctx = cloudevents.WithEncodingStructured(context.Background())
	}
	outcomes := []any{}
	for _, from := range events {
		event, err := made(from)
		if err != nil {
			outcomes = append(outcomes, err.Error())
			continue
		}
		outcomes = append(outcomes, outcomeOf(client.Send(ctx, event)))
	}
	return outcomes
}

func outcomeOf(result cloudevents.Result) any {
	var answer *cehttp.Result
	if errors.As(result, &answer) {
		return answer.StatusCode
	}
	if cloudevents.IsUndelivered(result) {
		return result.Error()
	}
	return "produced"
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	return config
}

func produce(brokers, topic, mode string, events []eventToMake) []any {
	sender, err := kafka_sarama.NewSender(strings.Split(brokers, ","), saramaConfig(), topic)
	must(err)
	defer sender.Close(context.Background())
	client, err := cloudevents.NewClient(sender)
	must(err)
	return sendEach(client, mode, events)
}

func consume(brokers, topic, group string) {
	consumer, err := kafka_sarama.NewConsumer(strings.Split(brokers, ","), saramaConfig(), group, topic)
	must(err)
	client, err := cloudevents.NewClient(consumer)
	must(err)
	must(client.StartReceiver(context.Background(), func(event cloudevents.Event) {
		say(map[string]any{"read": told(event)})
	}))
}

// receiver answers with an event in the mode of its path.
func receiver(path string) http.Handler {
	protocol, err := cloudevents.NewHTTP()
	must(err)
	handle := func(event cloudevents.Event) (*cloudevents.Event, cloudevents.Result) {
		say(map[string]any{"received": told(event), "to": path})
		from := reply
		from.ID += path + "/" + event.ID()
		answer, err := made(from)
		must(err)
		return &answer, cloudevents.ResultACK
	}
	handler, err := cloudevents.NewHTTPReceiveHandler(context.Background(), protocol, handle)
	must(err)
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if path == "/structured" {
			request = request.WithContext(binding.WithForceStructured(request.Context()))
		}
		handler.ServeHTTP(response, request)
	})
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	paths := http.NewServeMux()
	paths.Handle("/binary", receiver("/binary"))
	paths.Handle("/structured", receiver("/structured"))
	go func() { must(http.Serve(listener, paths)) }()
	output.SetEscapeHTML(false)
	say(map[string]any{"port": listener.Addr().(*net.TCPAddr).Port})

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var todo order
		must(json.NewDecoder(bytes.NewReader(lines.Bytes())).Decode(&todo))
		done := []any{}
		switch todo.Command {
		case "post":
			done = post(todo.URL, todo.Mode, todo.Events)
		case "produce":
			done = produce(todo.Brokers, todo.Topic, todo.Mode, todo.Events)
		case "reply":
			reply = todo.Event
		case "consume":
			go consume(todo.Brokers, todo.Topic, todo.Group)
		}
		say(map[string]any{"done": done})
	}
}
