// Reads a JSON array of events on stdin, has Powertools parse each as CloudWatch Logs' (which unpacks it), prints what it made of them.
const { CloudWatchLogsSchema } = require("@aws-lambda-powertools/parser/schemas/cloudwatch");

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => console.log(JSON.stringify(JSON.parse(text).map((event) => CloudWatchLogsSchema.parse(event)))));
