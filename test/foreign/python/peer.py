"""The CloudEvents SDK for Python, driven by lines of JSON: see peer.ts of the test."""

import base64
import json
import sys
import threading
from datetime import datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from cloudevents.core.bindings import http, kafka
from cloudevents.core.v1.event import CloudEvent
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

output = threading.Lock()
reply = {}


def say(line):
    with output:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def make(event):
    attributes = {
        name: value
        for name, value in event.items()
        if name not in ("extensions", "data", "time")
    }
    if "time" in event:
        attributes["time"] = datetime.fromisoformat(event["time"])
    for extension in event["extensions"]:
        attributes[extension["name"]] = value_of(extension["type"], extension["value"])
    return CloudEvent(attributes, data_of(event["data"]))


def value_of(kind, value):
    if kind == "integer":
        return int(value)
    if kind == "boolean":
        return value == "true"
    if kind == "timestamp":
        return datetime.fromisoformat(value)
    return base64.b64decode(value) if kind == "binary" else value


def data_of(data):
    if data is None:
        return None
    if "bytes" in data:
        return base64.b64decode(data["bytes"])
    return data.get("json", data.get("text"))


def tell(event):
    """What the SDK makes of a message, as the test compares it."""
    attributes = {name: text_of(value) for name, value in event.get_attributes().items()}
    data = event.get_data()
    if isinstance(data, bytes):
        said = {"bytes": base64.b64encode(data).decode()}
    elif isinstance(data, str):
        said = {"text": data}
    else:
        said = None if data is None else {"json": data}
    return {"attributes": attributes, "data": said}


def text_of(value):
    if isinstance(value, datetime):
        return value.isoformat(timespec="auto").replace("+00:00", "Z")
    return str(value)


def post(url, mode, event):
    write = http.to_binary_event if mode == "binary" else http.to_structured_event
    message = write(make(event))
    address = urlsplit(url)
    # Not urllib.request, which gives a body without a type one of its own.
    connection = HTTPConnection(address.hostname, address.port)
    connection.request("POST", address.path or "/", message.body, dict(message.headers))
    with connection.getresponse() as response:
        return response.status


def produce(brokers, topic, mode, events):
    producer = KafkaProducer(bootstrap_servers=brokers.split(","))
    write = kafka.to_binary_event if mode == "binary" else kafka.to_structured_event

    def send(event):
        message = write(make(event))
        key = message.key.encode() if isinstance(message.key, str) else message.key
        headers = list(message.headers.items())
        producer.send(topic, key=key, value=message.value, headers=headers).get(30)
        return "produced"

    outcomes = each(events, send)
    producer.close()
    return outcomes


def consume(brokers, topic):
    consumer = KafkaConsumer(bootstrap_servers=brokers.split(","))
    consumer.assign([TopicPartition(topic, at) for at in consumer.partitions_for_topic(topic)])
    consumer.seek_to_beginning()
    for record in consumer:
        message = kafka.KafkaMessage(dict(record.headers), record.key, record.value)
        say({"read": attempt(lambda: kafka.from_kafka_event(message), dict(record.headers).get("ce_id"))})


def attempt(read, identity):
    try:
        return tell(read())
    except Exception as error:
        name = identity.decode() if isinstance(identity, bytes) else identity
        return {"id": name, "error": repr(error)}


def each(events, act):
    outcomes = []
    for event in events:
        try:
            outcomes.append(act(event))
        except Exception as error:
            outcomes.append(repr(error))
    return outcomes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        message = http.HTTPMessage(dict(self.headers), body)
        received = attempt(lambda: http.from_http_event(message), self.headers.get("ce-id"))
        say({"received": received, "to": self.path})
        if "error" in received:
            self.answer(400, {}, b"")
            return
        identity = f"{reply['id']}{self.path}/{received['attributes']['id']}"
        event = make({**reply, "id": identity})
        write = http.to_structured_event if self.path == "/structured" else http.to_binary_event
        answer = write(event)
        self.answer(200, answer.headers, answer.body)

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
say({"port": server.server_address[1]})

for line in sys.stdin:
    order = json.loads(line)
    if order["command"] == "post":
        say({"done": each(order["events"], lambda event: post(order["url"], order["mode"], event))})
    elif order["command"] == "produce":
        say({"done": produce(order["brokers"], order["topic"], order["mode"], order["events"])})
    elif order["command"] == "reply":
        reply = order["event"]
        say({"done": []})
    elif order["command"] == "consume":
        arguments = (order["brokers"], order["topic"])
        threading.Thread(target=consume, args=arguments, daemon=True).start()
        say({"done": []})
