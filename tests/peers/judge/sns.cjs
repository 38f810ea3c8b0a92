// Reads a JSON array of events on stdin, has Powertools parse each as an SNS event, prints what it made of them.
const { SnsSchema } = require("@aws-lambda-powertools/parser/schemas/sns");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => SnsSchema.parse(event))));
});
