// Reads a JSON array of events on stdin, has Powertools parse each as an SQS event, prints what it made of them.
const { SqsSchema } = require("@aws-lambda-powertools/parser/schemas/sqs");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => SqsSchema.parse(event))));
});
