// Reads a JSON array of events on stdin, has Powertools parse each as an S3 event, prints what it made of them. The first
// argument: "notification" (when not given), "eventbridge", or "sqs", an SQS event with a notification in each body.
const { S3EventNotificationEventBridgeSchema, S3Schema, S3SqsEventNotificationSchema } = require("@aws-lambda-powertools/parser/schemas/s3");

const schemas = { notification: S3Schema, eventbridge: S3EventNotificationEventBridgeSchema, sqs: S3SqsEventNotificationSchema };
const schema = schemas[process.argv[2] ?? "notification"];

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => schema.parse(event))));
});
