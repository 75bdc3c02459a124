import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.message.Encoding;
import io.cloudevents.core.message.MessageReader;
import io.cloudevents.core.message.MessageWriter;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.jackson.JsonCloudEventData;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.CloudEventSerializer;
import io.cloudevents.kafka.KafkaMessageFactory;
import io.cloudevents.kafka.PartitionKeyExtensionInterceptor;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The CloudEvents SDK for Java, driven by lines of JSON: see peer.ts of the test. */
public class Peer {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private static final PrintStream OUTPUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private static volatile JsonNode reply;

  public static void main(String[] arguments) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/", Peer::serve);
    server.start();
    say(JSON.createObjectNode().put("port", server.getAddress().getPort()));
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        say(JSON.createObjectNode().set("done", carryOut(JSON.readTree(line))));
      }
      System.exit(0);
    } catch (RuntimeException error) {
      error.printStackTrace();
      System.exit(1);
    }
  }

  private static ArrayNode carryOut(JsonNode order) {
    boolean isBinary = order.path("mode").asText().equals("binary");
    switch (order.get("command").asText()) {
      case "post":
        return each(order.get("events"), event -> JSON.getNodeFactory().numberNode(post(order, isBinary, event)));
      case "produce":
        return produce(order, isBinary);
      case "reply":
        reply = order.get("event");
        return JSON.createArrayNode();
      default:
        Thread reader = new Thread(() -> consume(order));
        reader.setDaemon(true);
        reader.start();
        return JSON.createArrayNode();
    }
  }

  private static synchronized void say(JsonNode line) {
    OUTPUT.println(line);
  }

  private static CloudEvent make(JsonNode from) {
    CloudEventBuilder event = CloudEventBuilder.v1()
        .withId(from.get("id").asText())
        .withSource(URI.create(from.get("source").asText()))
        .withType(from.get("type").asText());
    if (from.has("subject")) event.withSubject(from.get("subject").asText());
    if (from.has("time")) event.withTime(OffsetDateTime.parse(from.get("time").asText()));
    if (from.has("dataschema")) event.withDataSchema(URI.create(from.get("dataschema").asText()));
    if (from.has("datacontenttype")) event.withDataContentType(from.get("datacontenttype").asText());
    for (JsonNode extension : from.get("extensions")) extend(event, extension);
    JsonNode data = from.get("data");
    if (data.has("bytes")) event.withData(Base64.getDecoder().decode(data.get("bytes").asText()));
    else if (data.has("text")) event.withData(data.get("text").asText().getBytes(StandardCharsets.UTF_8));
    else if (data.has("json")) event.withData(JsonCloudEventData.wrap(data.get("json")));
    return event.build();
  }

  private static void extend(CloudEventBuilder event, JsonNode extension) {
    String name = extension.get("name").asText();
    String value = extension.get("value").asText();
    switch (extension.get("type").asText()) {
      case "integer" -> event.withExtension(name, Integer.valueOf(value));
      case "boolean" -> event.withExtension(name, Boolean.valueOf(value));
      case "uri", "urireference" -> event.withExtension(name, URI.create(value));
      case "timestamp" -> event.withExtension(name, OffsetDateTime.parse(value));
      case "binary" -> event.withExtension(name, Base64.getDecoder().decode(value));
      default -> event.withExtension(name, value);
    }
  }

  /** What the SDK makes of a message, as the test compares it. */
  private static ObjectNode tell(CloudEvent event) {
    ObjectNode line = JSON.createObjectNode();
    ObjectNode attributes = line.putObject("attributes");
    for (String name : event.getAttributeNames()) {
      Object value = event.getAttribute(name);
      if (value != null) attributes.put(name, value.toString());
    }
    for (String name : event.getExtensionNames()) attributes.put(name, event.getExtension(name).toString());
    line.putNull("data");
    if (event.getData() == null) return line;
    line.putObject("data").put("bytes", Base64.getEncoder().encodeToString(event.getData().toBytes()));
    return line;
  }

  private static int post(JsonNode order, boolean isBinary, JsonNode event) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(order.get("url").asText()));
    request.POST(HttpRequest.BodyPublishers.noBody());
    MessageWriter<?, ?> writer = HttpMessageFactory.createWriter(
        request::setHeader, body -> request.POST(publisherOf(body)));
    write(writer, isBinary, make(event));
    return HTTP.send(request.build(), HttpResponse.BodyHandlers.discarding()).statusCode();
  }

  private static HttpRequest.BodyPublisher publisherOf(byte[] body) {
    // The SDK says null where the event has no data.
    return body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofByteArray(body);
  }

  private static void write(MessageWriter<?, ?> writer, boolean isBinary, CloudEvent event) {
    if (isBinary) writer.writeBinary(event);
    else writer.writeStructured(event, JsonFormat.CONTENT_TYPE);
  }

  private static ArrayNode produce(JsonNode order, boolean isBinary) {
    Map<String, Object> settings = Map.of(
        "bootstrap.servers", order.get("brokers").asText(),
        "key.serializer", StringSerializer.class,
        "value.serializer", CloudEventSerializer.class,
        "interceptor.classes", PartitionKeyExtensionInterceptor.class.getName(),
        CloudEventSerializer.ENCODING_CONFIG, isBinary ? Encoding.BINARY : Encoding.STRUCTURED,
        CloudEventSerializer.EVENT_FORMAT_CONFIG, JsonFormat.CONTENT_TYPE);
    String topic = order.get("topic").asText();
    try (KafkaProducer<Object, CloudEvent> producer = new KafkaProducer<>(settings)) {
      return each(order.get("events"), event -> {
        producer.send(new ProducerRecord<>(topic, make(event))).get();
        return JSON.getNodeFactory().textNode("produced");
      });
    }
  }

  private static void consume(JsonNode order) {
    Map<String, Object> settings = Map.of(
        "bootstrap.servers", order.get("brokers").asText(),
        "key.deserializer", ByteArrayDeserializer.class,
        "value.deserializer", ByteArrayDeserializer.class);
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
      List<TopicPartition> partitions = consumer.partitionsFor(order.get("topic").asText()).stream()
          .map(partition -> new TopicPartition(partition.topic(), partition.partition()))
          .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      while (true) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          var id = record.headers().lastHeader("ce_id");
          ObjectNode event = attempt(
              () -> KafkaMessageFactory.createReader(record), id == null ? "" : new String(id.value()));
          say(JSON.createObjectNode().set("read", event));
        }
      }
    }
  }

  private static void serve(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    String path = exchange.getRequestURI().getPath();
    ObjectNode event = attempt(
        () -> HttpMessageFactory.createReaderFromMultimap(exchange.getRequestHeaders(), body),
        exchange.getRequestHeaders().getFirst("ce-id"));
    say(JSON.createObjectNode().<ObjectNode>set("received", event).put("to", path));
    if (event.has("error")) {
      exchange.sendResponseHeaders(400, -1);
      exchange.close();
      return;
    }
    ObjectNode answer = reply.deepCopy();
    answer.put("id", reply.get("id").asText() + path + "/" + event.get("attributes").get("id").asText());
    write(HttpMessageFactory.createWriter(exchange.getResponseHeaders()::set, data -> respond(exchange, data)),
        path.equals("/binary"), make(answer));
  }

  private static void respond(HttpExchange exchange, byte[] data) {
    try (exchange) {
      boolean isEmpty = data == null || data.length == 0;
      exchange.sendResponseHeaders(200, isEmpty ? -1 : data.length);
      if (!isEmpty) exchange.getResponseBody().write(data);
    } catch (IOException error) {
      throw new IllegalStateException(error);
    }
  }

  private interface Reading {
    MessageReader open() throws Exception;
  }

  private interface Acting {
    JsonNode on(JsonNode event) throws Exception;
  }

  private static ObjectNode attempt(Reading reading, String id) {
    try {
      return tell(reading.open().toEvent());
    } catch (Exception error) {
      return JSON.createObjectNode().put("id", id).put("error", error.toString());
    }
  }

  private static ArrayNode each(JsonNode events, Acting act) {
    ArrayNode outcomes = JSON.createArrayNode();
    for (JsonNode event : events) {
      try {
        outcomes.add(act.on(event));
      } catch (Exception error) {
        outcomes.add(error.toString());
      }
    }
    return outcomes;
  }
}
