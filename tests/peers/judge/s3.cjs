// Reads a JSON array of events on stdin, has Powertools parse each as an S3 event, prints what it made of them.
const { S3Schema } = require("@aws-lambda-powertools/parser/schemas/s3");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const events = JSON.parse(text);
  console.log(JSON.stringify(events.map((event) => S3Schema.parse(event))));
});
