// Prints each record of a Kafka event; the key of `records` is "topic-partition".
exports.handler = async (event) => {
  for (const [partition, records] of Object.entries(event.records)) {
    for (const record of records) {
      const value = record.value == null ? null : Buffer.from(record.value, 'base64').toString();
      console.log(`${partition}@${record.offset}: ${value}`);
    }
  }
};
