// Reads a JSON array of events on stdin, has Powertools parse each as an event of EventBridge, prints what it made of them.
const { EventBridgeSchema } = require("@aws-lambda-powertools/parser/schemas/eventbridge");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => EventBridgeSchema.parse(event))));
});
