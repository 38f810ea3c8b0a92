// Not run unless asked for: `store_test "[.bench]"` prints figures of the machine it runs on.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "store/batch.h"
#include "store/queue_tables.h"
#include "store/store.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::store;
using weir::test::run;
using weir::test::TemporaryFolder;

namespace {

using Steady = std::chrono::steady_clock;

constexpr int kWaiters = 64;
constexpr int kRounds = 1500;

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

StoredEvent event_of(std::size_t bytes) {
  StoredEvent event;
  event.function = "resize";
  event.request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";
  event.source = "uploads";
  event.payload = std::string(bytes, 'x');
  event.accepted = from_epoch_milliseconds(1'789'200'000'000);
  return event;
}

std::size_t memory_in_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoul(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

/// The loop to compare with: the same rows, so many a transaction, by SQLite alone.
double bare_rows_per_second(const std::string& path, int rounds) {
  sqlite3* handle = nullptr;
  sqlite3_open(path.c_str(), &handle);
  const auto run_sql = [&](const std::string& sql) {
    if (sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(sqlite3_errmsg(handle));
  };
  run_sql("PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;" + std::string(queue::kSchema));
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(handle,
                     "INSERT INTO events (function, accepted_ms, qualifier, request_id, source, trace_header, payload)"
                     " VALUES (?, ?, '', ?, ?, '', ?)",
                     -1, &insert, nullptr);
  const StoredEvent event = event_of(1024);
  const auto start = Steady::now();
  for (int round = 0; round < rounds; ++round) {
    run_sql("BEGIN IMMEDIATE");
    for (int row = 0; row < kWaiters; ++row) {
      sqlite3_bind_text(insert, 1, event.function.c_str(), -1, SQLITE_STATIC);
      sqlite3_bind_int64(insert, 2, epoch_milliseconds(event.accepted));
      sqlite3_bind_text(insert, 3, event.request_id.c_str(), -1, SQLITE_STATIC);
      sqlite3_bind_text(insert, 4, event.source.c_str(), -1, SQLITE_STATIC);
      sqlite3_bind_text(insert, 5, event.payload.data(), static_cast<int>(event.payload.size()), SQLITE_STATIC);
      sqlite3_step(insert);
      sqlite3_reset(insert);
    }
    run_sql("COMMIT");
  }
  const double rate = rounds * kWaiters / seconds_since(start);
  sqlite3_finalize(insert);
  sqlite3_close(handle);
  return rate;
}

net::awaitable<void> append_often(EventStore& store, int times, std::vector<double>& milliseconds) {
  for (int i = 0; i < times; ++i) {
    StoredEvent event = event_of(1024);
    const auto start = Steady::now();
    auto appended = co_await store.append(test::batch_of(std::move(event)));
    if (!appended) throw std::runtime_error(appended.error().describe());
    milliseconds.push_back(seconds_since(start) * 1000);
  }
}

double store_rows_per_second(EventStore& store, int rounds, std::vector<double>& milliseconds) {
  net::io_context context;
  const auto start = Steady::now();
  for (int i = 0; i < kWaiters; ++i) net::co_spawn(context, append_often(store, rounds, milliseconds), net::detached);
  context.run();
  const double rate = rounds * kWaiters / seconds_since(start);
  std::sort(milliseconds.begin(), milliseconds.end());
  return rate;
}

double share(const std::vector<double>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(part * static_cast<double>(sorted.size())))];
}

void print_latencies(const char* what, std::vector<double>& milliseconds) {
  std::sort(milliseconds.begin(), milliseconds.end());
  std::cout << what << " ms: p50 " << share(milliseconds, 0.5) << " p99 " << share(milliseconds, 0.99) << " p99.9 "
            << share(milliseconds, 0.999) << " max " << milliseconds.back() << "\n";
}

}  // namespace

TEST_CASE("append with 64 who wait, beside the bare loop", "[.bench]") {
  for (int time = 0; time < 3; ++time) {
    const TemporaryFolder folder;
    const double bare = bare_rows_per_second(folder / "bare.sqlite", kRounds);
    auto store = std::move(*StateFolder::open(folder / "state"));
    std::vector<double> milliseconds;
    const double rate = store_rows_per_second(*store, kRounds, milliseconds);
    std::cout << "append: " << rate << " rows/s, bare loop " << bare << ", ratio " << rate / bare << "\n";
    print_latencies("append", milliseconds);
  }
}

TEST_CASE("a million events wait", "[.bench]") {
  const TemporaryFolder folder;
  net::io_context context;
  constexpr int kEvents = 1'000'000;
  {
    auto store = std::move(*StateFolder::open(folder / "state"));
    std::vector<double> milliseconds;
    const double rate = store_rows_per_second(*store, kEvents / kWaiters, milliseconds);
    std::cout << "a million of 1 KB: appended at " << rate << " rows/s\n";
    print_latencies("append", milliseconds);
  }
  const std::size_t before = memory_in_kb();
  const auto opening = Steady::now();
  auto store = std::move(*StateFolder::open(folder / "state"));
  const auto start = Steady::now();
  std::cout << "opened in " << std::chrono::duration<double>(start - opening).count() << " s\n";
  std::uint64_t events = 0;
  const auto read =
      run(context, store->each_waiting([&](const std::vector<WaitingEvent>& piece) { events += piece.size(); }));
  REQUIRE(read.has_value());
  std::cout << "each_waiting: " << events << " in " << seconds_since(start) << " s, memory grew by "
            << (static_cast<double>(memory_in_kb()) - static_cast<double>(before)) / 1024 << " MB\n";

  // What is due is loaded and settled while others append.
  std::vector<double> loads;
  std::vector<double> settles;
  std::vector<double> appends;
  bool over = false;
  const auto deliver = [&](std::uint64_t first) -> net::awaitable<void> {
    for (std::uint64_t id = first; id < first + 2000; ++id) {
      auto begin = Steady::now();
      const auto loaded = co_await store->load(id * 60);
      loads.push_back(seconds_since(begin) * 1000);
      begin = Steady::now();
      const auto settled = co_await store->settle(id * 60);
      settles.push_back(seconds_since(begin) * 1000);
      if (!loaded || !settled) throw std::runtime_error("an event could not be delivered");
    }
    over = true;
  };
  const auto append = [&]() -> net::awaitable<void> {
    while (!over) co_await append_often(*store, 1, appends);
  };
  const auto begin = Steady::now();
  for (std::uint64_t i = 0; i < 8; ++i) net::co_spawn(context, deliver(1 + i * 2000), net::detached);
  for (int i = 0; i < kWaiters; ++i) net::co_spawn(context, append(), net::detached);
  context.restart();
  context.run();
  std::cout << "beside them, in " << seconds_since(begin) << " s: " << loads.size() << " loaded and settled, "
            << appends.size() << " appended\n";
  print_latencies("load", loads);
  print_latencies("settle", settles);
  print_latencies("append", appends);
}
