// Reads a JSON array of events on stdin, has Powertools parse each as a self-managed Kafka event, prints what it made of them.
const { KafkaSelfManagedEventSchema } = require("@aws-lambda-powertools/parser/schemas/kafka");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => KafkaSelfManagedEventSchema.parse(event))));
});
