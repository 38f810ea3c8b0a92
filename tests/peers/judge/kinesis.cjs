// Reads a JSON array of events on stdin, has Powertools parse each as a Kinesis event, prints how many records it made of them.
const { KinesisDataStreamSchema } = require("@aws-lambda-powertools/parser/schemas/kinesis");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => KinesisDataStreamSchema.parse(event).Records.length)));
});
