// Reads a JSON array of events on stdin, has Powertools parse each as one of a DynamoDB stream, prints what it made of them:
// keys and images as plain values, all else as it was.
const { DynamoDBStreamSchema } = require("@aws-lambda-powertools/parser/schemas/dynamodb");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => DynamoDBStreamSchema.parse(event))));
});
