// Records of a Kinesis stream: prints each.
exports.handler = async (event) => {
  for (const record of event.Records) {
    const text = Buffer.from(record.kinesis.data, "base64").toString();
    console.log(`${record.eventID} ${record.kinesis.partitionKey}: ${text}`);
  }
};
