#include "connectors/file/source.h"

#include <fstream>
#include <map>
#include <sstream>

#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include "weir/base/random.h"

#include "connectors/file/connector.h"
#include "runtime/task_scope.h"
#include "support/print.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::file;
using weir::test::TemporaryFolder;

namespace {

/// Reads a source as a mapping would, and notes what came.
class Reader final : public ShardListener {
 public:
  explicit Reader(FileConfig config)
      : config_(std::make_shared<FileConfig>(std::move(config))),
        source_(config_, SourceContext{"orders", context_.get_executor(), context_.get_executor(), null_log(), clock_}),
        scope_(context_.get_executor()) {}

  /// Where a shard goes on; before run().
  void resume(const std::string& shard, Resume from) { resume_.insert_or_assign(shard, std::move(from)); }
  void resume(const std::string& shard, std::uint64_t after) { resume(shard, Resume::after(Position(after))); }
  /// The mapping has run before.
  void ran_before() { first_run_ = false; }
  /// Each fetch gives at most this many records.
  void at_most(std::size_t records) { limits_.max_records = records; }
  /// Called after each fetch with the number of records so far.
  std::function<void(std::size_t)> after_fetch;

  /// Called with each batch, while its shard is open.
  std::function<void(const ShardId&, const RecordBatch&)> after_batch;

  /// Until the source ends by itself; its error, or "".
  std::string run() {
    const Result<void> result = test::run(context_, work());
    return result ? "" : result.error().describe();
  }

  void stop() {
    reader_->cancel();
    scope_.cancel();
  }

  void shard_opened(ShardId shard) override { scope_.spawn(drain(std::move(shard))); }
  void shard_revoked(const ShardId&, bool) override { FAIL("a file takes no shard back"); }

  std::map<std::string, std::vector<std::string>> data;  ///< by shard
  std::map<std::string, std::vector<Position>> positions;
  std::map<std::string, Resume> remembered;  ///< what start() wants for a checkpoint
  std::size_t count = 0;
  FileSource& source() { return source_; }

 private:
  net::awaitable<Result<void>> work() {
    runtime::TaskScope reader(context_.get_executor());
    reader_ = &reader;
    Result<void> result;
    reader.spawn(read(result));
    co_await reader.join();
    scope_.cancel();
    co_await scope_.join();
    co_return result;
  }

  net::awaitable<void> read(Result<void>& result) { result = co_await source_.run(*this); }

  net::awaitable<void> drain(ShardId shard) {
    const auto found = resume_.find(shard.name);
    const auto from = found == resume_.end() ? std::nullopt : std::optional<Resume>(found->second);
    if (auto begins = source_.start(shard, from, first_run_)) remembered.emplace(shard.name, std::move(*begins));
    for (;;) {
      const RecordBatch batch = co_await source_.fetch(shard, limits_);
      std::size_t bytes = source_.envelope_bytes(shard);
      for (const Record& record : batch.records) {
        data[shard.name].emplace_back(record.data);
        positions[shard.name].push_back(record.position);
        bytes += record.encoded_bytes + (&record == batch.records.data() ? 0 : 1);
      }
      count += batch.records.size();
      if (!batch.records.empty()) {
        std::string event;
        source_.write_event(shard, batch.records, event);
        CHECK(event.size() == bytes);
      }
      if (after_batch) after_batch(shard, batch);
      if (after_fetch) after_fetch(count);
      if (batch.end_of_shard) break;
    }
    source_.release(shard, true);
  }

  std::shared_ptr<FileConfig> config_;
  net::io_context context_;
  SystemClock clock_;
  FileSource source_;
  runtime::TaskScope scope_;
  runtime::TaskScope* reader_ = nullptr;
  FetchLimits limits_{100, 1U << 20U};
  std::map<std::string, Resume> resume_;
  bool first_run_ = true;
};

FileConfig lines(std::string path, std::size_t shards = 1) {
  FileConfig config;
  config.path = std::move(path);
  config.shards = shards;
  return config;
}

/// Numbered lines of random length; now and then one that is longer than a block.
std::string numbered_lines(int count, std::uint64_t seed) {
  Random random(seed);
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += std::to_string(i) + ":" + std::string(random.below(random.chance(0.002) ? 700'000 : 300), 'x') + "\n";
  }
  return text;
}

int number_of(const std::string& line) {
  return std::stoi(line.substr(0, line.find(':')));
}

}  // namespace

TEST_CASE("every line comes once, in order within its shard, across blocks") {
  const TemporaryFolder folder;
  const int count = 3000;
  Reader reader(lines(folder.write("orders.jsonl", numbered_lines(count, 1)), 4));
  REQUIRE(reader.run() == "");
  std::vector<int> all;
  for (const auto& [shard, data] : reader.data) {
    std::vector<int> numbers;
    for (const std::string& line : data) numbers.push_back(number_of(line));
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  std::sort(all.begin(), all.end());
  REQUIRE(all.size() == count);
  for (int i = 0; i < count; ++i) REQUIRE(all[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("a shard goes on behind its checkpoint, wherever that is") {
  const TemporaryFolder folder;
  const std::string path = folder.write("orders.jsonl", numbered_lines(1500, 2));
  Reader whole(lines(path));
  REQUIRE(whole.run() == "");
  const std::string shard = "shardId-000000000000";
  const auto& positions = whole.positions[shard];
  for (std::size_t at :
       {std::size_t{0}, std::size_t{1}, std::size_t{700}, positions.size() - 2, positions.size() - 1}) {
    Reader rest(lines(path));
    rest.resume(shard, *positions[at].number());
    REQUIRE(rest.run() == "");
    REQUIRE(rest.count == positions.size() - at - 1);
    if (rest.count > 0) CHECK(rest.data[shard].front() == whole.data[shard][at + 1]);
  }
}

TEST_CASE("a last line without its newline counts, unless the file is followed") {
  const TemporaryFolder folder;
  Reader reader(lines(folder.write("orders.jsonl", "one\ntwo")));
  REQUIRE(reader.run() == "");
  CHECK(reader.data["shardId-000000000000"] == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a followed file gives what is added to it, whole lines only") {
  const TemporaryFolder folder;
  FileConfig config = lines(folder.write("orders.jsonl", "one\ntw"));
  config.follow = true;
  Reader reader(std::move(config));
  reader.after_fetch = [&](std::size_t count) {
    if (count == 1) folder.write("orders.jsonl", "o\nthree\n", std::ios::app);
    if (count == 3) reader.stop();
  };
  CHECK(reader.run() == "");
  CHECK(reader.data["shardId-000000000000"] == std::vector<std::string>{"one", "two", "three"});
}

TEST_CASE("where a shard is read from: its checkpoint, else the starting position") {
  struct Row {
    std::string_view sentence;
    StartingPosition starting_position;
    bool ran_before;
    std::string from;  // the checkpoint; "" when there is none
    std::size_t records;
    std::string remembered;
  };
  const auto row = GENERATE(values<Row>({
      {"TRIM_HORIZON begins at the beginning", StartingPosition::kTrimHorizon, false, "", 2, ""},
      {"LATEST begins at the end, and stays there", StartingPosition::kLatest, false, "", 0, "8"},
      {"a shard that is new to a mapping which ran before is read whole", StartingPosition::kLatest, true, "", 2, ""},
      {"a checkpoint goes before the starting position", StartingPosition::kLatest, true, "4", 1, ""},
      {"a checkpoint at the file's end", StartingPosition::kTrimHorizon, true, "8", 0, ""},
      {"a checkpoint set to TRIM_HORIZON", StartingPosition::kLatest, true, "TRIM_HORIZON", 2, ""},
      {"a checkpoint set to LATEST", StartingPosition::kTrimHorizon, true, "LATEST", 0, "8"},
      {"lines have no time of their own: none is passed over", StartingPosition::kLatest, true,
       "AT_TIMESTAMP 2100-01-01T00:00:00Z", 2, ""},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const TemporaryFolder folder;
    const std::string shard = "shardId-000000000000";
    FileConfig config = lines(folder.write("orders.jsonl", "one\ntwo\n"));
    config.starting_position = row.starting_position;
    Reader reader(std::move(config));
    if (row.ran_before) reader.ran_before();
    if (!row.from.empty()) reader.resume(shard, Resume::parse(row.from).value());
    CHECK(reader.run() == "");
    CHECK(reader.count == row.records);
    CHECK((reader.remembered.contains(shard) ? reader.remembered.at(shard).text() : "") == row.remembered);
  }
}

TEST_CASE("of a recording, what came before the time is passed over") {
  const TemporaryFolder folder;
  FileConfig config;
  config.path = folder.write("orders.jsonl",
                             "{\"json\":1,\"approximateArrivalTimestamp\":999.999}\n"
                             "{\"json\":2,\"approximateArrivalTimestamp\":1000}\n"
                             "{\"json\":3,\"approximateArrivalTimestamp\":1000.001}\n"
                             "{\"json\":4,\"approximateArrivalTimestamp\":10}\n"
                             "{\"json\":5}\n");
  config.format = Format::kRecording;
  const std::string shard = "shardId-000000000000";
  Reader reader(std::move(config));
  reader.resume(shard, Resume::parse("AT_TIMESTAMP 1000").value());
  CHECK(reader.run() == "");
  CHECK(reader.data[shard] == std::vector<std::string>{"2", "3", "5"});
}

TEST_CASE("filters see a record as one of Kinesis") {
  const TemporaryFolder folder;
  FileConfig config;
  config.path = folder.write("orders.jsonl",
                             R"({"json":{"kind":"click"},"partitionKey":"a\"b","approximateArrivalTimestamp":1000})"
                             "\n");
  config.format = Format::kRecording;
  Reader reader(std::move(config));
  FilterView with, without;
  reader.after_batch = [&](const ShardId& shard, const RecordBatch& batch) {
    if (batch.records.empty()) return;
    reader.source().write_filter_view(shard, batch.records.front(), true, with);
    reader.source().write_filter_view(shard, batch.records.front(), false, without);
    CHECK(with.body == R"({"kind":"click"})");
  };
  CHECK(reader.run() == "");
  CHECK(with.metadata == R"({"kinesisSchemaVersion":"1.0","partitionKey":"a\"b","sequenceNumber":"83",)"
                         R"("approximateArrivalTimestamp":1000.0})");
  CHECK(with.has_body);
  CHECK(without.metadata.empty());
}

TEST_CASE("the call that ends a tumbling window has no records") {
  const TemporaryFolder folder;
  Reader reader(lines(folder.write("orders.jsonl", "one\n")));
  std::string event, info;
  reader.after_batch = [&](const ShardId& shard, const RecordBatch& batch) {
    if (!batch.end_of_shard) return;
    reader.source().write_event(shard, {}, event);
    JsonWriter out(info);
    out.begin_object();
    reader.source().write_batch_info(shard, {}, event.size(), out);
    out.end_object();
  };
  CHECK(reader.run() == "");
  CHECK(event == R"({"Records":[]})");
  CHECK(reader.source().event_source_arn() == "arn:aws:kinesis:us-east-1:000000000000:stream/orders");
  // Source: reference stream-sources.md, section 6, "windows".
  CHECK(info == R"({"KinesisBatchInfo":{"shardId":"shardId-000000000000",)"
                R"("streamArn":"arn:aws:kinesis:us-east-1:000000000000:stream/orders"}})");
}

TEST_CASE("what stands before the damage of a recording is delivered, then the damage is told") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += R"({"json":)" + std::to_string(i) + R"(,"shardId":")" + std::to_string(i % 3) + "\"}\n";
  const std::size_t end = text.size();
  FileConfig config;
  config.path = folder.write("orders.jsonl", text + R"({"json":20,"sha)");
  config.format = Format::kRecording;
  Reader reader(std::move(config));
  reader.at_most(2);
  CHECK(reader.run() == "source.data: " + (folder / "orders.jsonl") + ": the line at byte " + std::to_string(end) +
                            " is not JSON; the recording is damaged or was cut off");
  CHECK(reader.count == 20);
  CHECK(reader.data.size() == 3);
}

TEST_CASE("a recording is handed out by its times") {
  const TemporaryFolder folder;
  FileConfig config;
  config.path = folder.write(
      "orders.jsonl",
      "{\"json\":1,\"approximateArrivalTimestamp\":1000}\n{\"json\":2,\"approximateArrivalTimestamp\":1000.5}\n"
      "{\"json\":3,\"approximateArrivalTimestamp\":1060}\n");
  config.format = Format::kRecording;
  config.speed = 1000;  // a minute in 60 ms
  Reader reader(std::move(config));
  const Instant began = SystemClock().now().instant;
  CHECK(reader.run() == "");
  CHECK(SystemClock().now().instant - began >= std::chrono::milliseconds(60));
  CHECK(reader.count == 3);
}

TEST_CASE("what cannot be read is said") {
  const TemporaryFolder folder;
  CHECK(Reader(lines(folder / "no.jsonl")).run() ==
        "source.not_found: " + (folder / "no.jsonl") + ": No such file or directory");
  CHECK(Reader(lines(folder.path())).run() == "source.refused: " + folder.path() + ": is not a file");
  Reader shorter(lines(folder.write("orders.jsonl", "one\n")));
  shorter.resume("shardId-000000000000", 400);
  CHECK(shorter.run().starts_with("source.data: " + (folder / "orders.jsonl") +
                                  ": has 4 bytes, the checkpoint of shardId-000000000000 is 400"));
}

TEST_CASE("the sample event is what the envelope writes") {
  std::ifstream file(std::string(WEIR_ROOT) + "/connectors/file/sample.json");
  std::stringstream sample;
  sample << file.rdbuf();
  CHECK(sample.str() == sample_event() + "\n");
}
