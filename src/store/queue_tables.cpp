#include "store/queue_tables.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace weir::store::queue {
namespace {

std::int64_t number(std::uint64_t id) {
  return static_cast<std::int64_t>(id);
}

/// Calls `take` with each row of the statement.
template <typename Take>
Result<void> each_row(Statement& statement, Take take) {
  for (;;) {
    auto row = statement.step();
    if (!row) return std::move(row.error());
    if (!*row) return {};
    take(statement);
  }
}

/// Runs a statement that gives no rows.
Result<void> finish(Statement& statement) {
  return each_row(statement, [](Statement&) {});
}

/// Rows that one statement inserts: what a statement costs by itself is as much as a small row.
constexpr std::size_t kRowsAtOnce = 16;

std::string_view insert_of(std::size_t rows) {
  static const auto statements = [] {
    std::array<std::string, kRowsAtOnce> made;
    std::string values =
        "INSERT INTO events (function, accepted_ms, qualifier, request_id, source, trace_header, payload) VALUES";
    for (std::string& each : made) {
      values += " (?, ?, ?, ?, ?, ?, ?)";
      each = values;
      values += ',';
    }
    return made;
  }();
  return statements.at(rows - 1);
}

DeadLetter letter_of_row(const Statement& row, bool whole) {
  DeadLetter letter;
  letter.id = static_cast<std::uint64_t>(row.integer(0));
  letter.source = row.text(1);
  letter.shard = row.text(2);
  letter.function = row.text(3);
  letter.qualifier = row.text(4);
  letter.at = from_epoch_milliseconds(row.integer(5));
  if (whole) {
    letter.record = row.text(6);
    letter.payload = row.text(7);
  }
  return letter;
}

constexpr std::string_view kBriefLetter =
    "SELECT id, source, shard, function, qualifier, at_ms FROM dead_letters WHERE id = ?";
constexpr std::string_view kWholeLetter =
    "SELECT id, source, shard, function, qualifier, at_ms, record, payload FROM dead_letters WHERE id = ?";

// A filter that names ids is answered id by id; one that does not, in order of id. One statement for each index.
constexpr std::string_view kIdsOfOne =
    "SELECT id FROM dead_letters WHERE id = ?1 AND (?2 = '' OR function = ?2) AND (?3 = '' OR source = ?3)";
constexpr std::string_view kOldestOfAll = "SELECT id FROM dead_letters WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
constexpr std::string_view kOldestOfFunction =
    "SELECT id FROM dead_letters INDEXED BY dead_letters_of_function WHERE function = ?4 AND id > ?1 AND id <= ?2"
    " AND (?5 = '' OR source = ?5) ORDER BY id LIMIT ?3";
constexpr std::string_view kOldestOfSource =
    "SELECT id FROM dead_letters INDEXED BY dead_letters_of_source WHERE source = ?4 AND id > ?1 AND id <= ?2"
    " ORDER BY id LIMIT ?3";
constexpr std::string_view kNewestOfAll =
    "SELECT id FROM dead_letters WHERE id > ?1 AND id <= ?2 ORDER BY id DESC LIMIT ?3";
constexpr std::string_view kNewestOfFunction =
    "SELECT id FROM dead_letters INDEXED BY dead_letters_of_function WHERE function = ?4 AND id > ?1 AND id <= ?2"
    " AND (?5 = '' OR source = ?5) ORDER BY id DESC LIMIT ?3";
constexpr std::string_view kNewestOfSource =
    "SELECT id FROM dead_letters INDEXED BY dead_letters_of_source WHERE source = ?4 AND id > ?1 AND id <= ?2"
    " ORDER BY id DESC LIMIT ?3";

std::int64_t as_limit(std::size_t limit) {
  return static_cast<std::int64_t>(std::min(limit, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())));
}

enum class End { kOldest, kNewest };

/// The ids of the letters meant, along the ids that the filter names.
template <typename Order>
Result<std::vector<std::uint64_t>> ids_among(Database& database, const DeadLetterFilter& which, std::size_t limit) {
  const std::set<std::uint64_t, Order> candidates(which.ids.begin(), which.ids.end());
  std::vector<std::uint64_t> found;
  auto statement = Statement::prepare(database, kIdsOfOne);
  if (!statement) return std::move(statement.error());
  for (const std::uint64_t id : candidates) {
    if (found.size() >= limit) break;
    if (id <= which.after || id > which.upto) continue;
    statement->reset();
    statement->bind(number(id)).bind(which.function).bind(which.source);
    auto row = statement->step();
    if (!row) return std::move(row.error());
    if (*row) found.push_back(id);
  }
  return found;
}

/// The ids of the letters meant, from one of their ends.
Result<std::vector<std::uint64_t>> ids_from(Database& database, End end, const DeadLetterFilter& which,
                                            std::size_t limit) {
  const bool oldest = end == End::kOldest;
  if (!which.ids.empty()) {
    return oldest ? ids_among<std::less<>>(database, which, limit) : ids_among<std::greater<>>(database, which, limit);
  }
  std::string_view sql = oldest ? kOldestOfAll : kNewestOfAll;
  if (!which.source.empty()) sql = oldest ? kOldestOfSource : kNewestOfSource;
  if (!which.function.empty()) sql = oldest ? kOldestOfFunction : kNewestOfFunction;
  auto statement = Statement::prepare(database, sql);
  if (!statement) return std::move(statement.error());
  statement->bind(number(which.after)).bind(number(which.upto)).bind(as_limit(limit));
  if (!which.function.empty()) statement->bind(which.function);
  if (!which.function.empty() || !which.source.empty()) statement->bind(which.source);
  std::vector<std::uint64_t> found;
  auto done =
      each_row(*statement, [&](Statement& row) { found.push_back(static_cast<std::uint64_t>(row.integer(0))); });
  if (!done) return std::move(done.error());
  return found;
}

}  // namespace

Result<void> insert_events(Database& database, std::span<StoredEvent> events) {
  while (!events.empty()) {
    const auto rows = events.first(std::min(events.size(), kRowsAtOnce));
    events = events.subspan(rows.size());
    auto statement = Statement::prepare(database, insert_of(rows.size()));
    if (!statement) return std::move(statement.error());
    for (const StoredEvent& event : rows) {
      statement->bind(event.function).bind(epoch_milliseconds(event.accepted)).bind(event.qualifier);
      statement->bind(event.request_id).bind(event.source).bind(event.trace_header).bind(event.payload);
    }
    if (auto done = finish(*statement); !done) return done;
    // Rows of one statement are numbered one after the other.
    auto id = static_cast<std::uint64_t>(database.last_insert_id());
    for (auto event = rows.rbegin(); event != rows.rend(); ++event) event->id = id--;
  }
  return {};
}

Result<StoredEvent> load_event(Database& database, std::uint64_t id) {
  auto row = Statement::prepare(
      database,
      "SELECT function, accepted_ms, qualifier, request_id, source, trace_header, payload FROM events WHERE id = ?");
  if (!row) return std::move(row.error());
  auto found = row->bind(number(id)).step();
  if (!found) return std::move(found.error());
  if (!*found) return Error(ErrorCode::kStoreNotFound, database.path() + ": there is no event " + std::to_string(id));
  StoredEvent event;
  event.id = id;
  event.function = row->text(0);
  event.accepted = from_epoch_milliseconds(row->integer(1));
  event.qualifier = row->text(2);
  event.request_id = row->text(3);
  event.source = row->text(4);
  event.trace_header = row->text(5);
  event.payload = row->text(6);
  return event;
}

Result<void> write_retry(Database& database, std::uint64_t id, int attempts, WallTime due) {
  auto statement = Statement::prepare(
      database,
      "INSERT INTO retries (id, attempts, due_ms) SELECT id, ?2, ?3 FROM events WHERE id = ?1"
      " ON CONFLICT (id) DO UPDATE SET attempts = excluded.attempts, due_ms = excluded.due_ms RETURNING id");
  if (!statement) return std::move(statement.error());
  bool found = false;
  statement->bind(number(id)).bind(attempts).bind(epoch_milliseconds(due));
  if (auto done = each_row(*statement, [&](Statement&) { found = true; }); !done) return done;
  if (!found) return Error(ErrorCode::kStoreNotFound, database.path() + ": there is no event " + std::to_string(id));
  return {};
}

Result<bool> delete_event(Database& database, std::uint64_t id) {
  for (const std::string_view sql :
       {std::string_view("DELETE FROM retries WHERE id = ?"), std::string_view("DELETE FROM events WHERE id = ?")}) {
    auto statement = Statement::prepare(database, sql);
    if (!statement) return std::move(statement.error());
    statement->bind(number(id));
    if (auto done = finish(*statement); !done) return std::move(done.error());
  }
  return database.changes() > 0;
}

Result<std::uint64_t> newest_event(Database& database) {
  auto statement = Statement::prepare(database, "SELECT coalesce(max(id), 0) FROM events");
  if (!statement) return std::move(statement.error());
  if (auto row = statement->step(); !row) return std::move(row.error());
  return static_cast<std::uint64_t>(statement->integer(0));
}

Result<std::vector<WaitingEvent>> waiting_events(Database& database, std::uint64_t after, std::uint64_t last,
                                                 std::size_t limit) {
  auto statement = Statement::prepare(
      database,
      "SELECT events.id, function, accepted_ms, attempts, due_ms, qualifier FROM events LEFT JOIN retries USING (id)"
      " WHERE events.id > ? AND events.id <= ? ORDER BY events.id LIMIT ?");
  if (!statement) return std::move(statement.error());
  statement->bind(number(after)).bind(number(last)).bind(as_limit(limit));
  std::vector<WaitingEvent> events;
  auto done = each_row(*statement, [&](Statement& row) {
    WaitingEvent event;
    event.id = static_cast<std::uint64_t>(row.integer(0));
    event.function = row.text(1);
    event.accepted = from_epoch_milliseconds(row.integer(2));
    if (!row.is_null(3)) {
      event.attempts = static_cast<int>(row.integer(3));
      event.due = from_epoch_milliseconds(row.integer(4));
    }
    event.qualifier = row.text(5);
    events.push_back(std::move(event));
  });
  if (!done) return std::move(done.error());
  return events;
}

Result<void> insert_kept(Database& database, const KeptEvent& event) {
  auto statement = Statement::prepare(database, "INSERT INTO kept (log, at_ms, event) VALUES (?, ?, ?)");
  if (!statement) return std::move(statement.error());
  statement->bind(event.log).bind(epoch_milliseconds(event.at)).bind(event.event);
  return finish(*statement);
}

Result<KeptPage> kept_events(Database& database, const KeptRange& range) {
  constexpr std::string_view kOldestFirst =
      "SELECT id, at_ms, event FROM kept WHERE log = ? AND (at_ms, id) > (?, ?) AND (at_ms, id) < (?, ?)"
      " ORDER BY at_ms, id";
  constexpr std::string_view kNewestFirst =
      "SELECT id, at_ms, event FROM kept WHERE log = ? AND (at_ms, id) > (?, ?) AND (at_ms, id) < (?, ?)"
      " ORDER BY at_ms DESC, id DESC";
  auto rows = Statement::prepare(database, range.newest_first ? kNewestFirst : kOldestFirst);
  if (!rows) return std::move(rows.error());
  rows->bind(range.log).bind(epoch_milliseconds(range.from)).bind(number(range.after));
  rows->bind(epoch_milliseconds(range.to)).bind(number(range.before));
  // Row by row, for only what is read says how large it is: the first that is too much ends the page.
  KeptPage page;
  std::size_t bytes = 0;
  for (;;) {
    auto row = rows->step();
    if (!row) return std::move(row.error());
    if (!*row) return page;
    page.more = true;
    if (page.events.size() == range.limit) return page;
    KeptEvent event;
    event.log = range.log;
    event.id = static_cast<std::uint64_t>(rows->integer(0));
    event.at = from_epoch_milliseconds(rows->integer(1));
    event.event = rows->text(2);
    bytes += event.event.size();
    if (!page.events.empty() && bytes > range.bytes_max) return page;
    page.events.push_back(std::move(event));
    page.more = false;
  }
}

Result<int> delete_kept(Database& database, std::string_view log, WallTime before, std::size_t limit) {
  auto statement = Statement::prepare(
      database,
      "DELETE FROM kept WHERE id IN (SELECT id FROM kept WHERE log = ? AND at_ms < ? ORDER BY at_ms LIMIT ?)");
  if (!statement) return std::move(statement.error());
  statement->bind(log).bind(epoch_milliseconds(before)).bind(as_limit(limit));
  if (auto done = finish(*statement); !done) return std::move(done.error());
  return database.changes();
}

Result<void> write_note(Database& database, const StoredNote& note) {
  auto statement =
      Statement::prepare(database, note.value ? "INSERT INTO notes (source, key, value) VALUES (?, ?, ?)"
                                                " ON CONFLICT (source, key) DO UPDATE SET value = excluded.value"
                                              : "DELETE FROM notes WHERE source = ? AND key = ?");
  if (!statement) return std::move(statement.error());
  statement->bind(note.source).bind(note.key);
  if (note.value) statement->bind(*note.value);
  return finish(*statement);
}

Result<std::map<std::string, std::string>> read_notes(Database& database, std::string_view source) {
  auto statement = Statement::prepare(database, "SELECT key, value FROM notes WHERE source = ?");
  if (!statement) return std::move(statement.error());
  statement->bind(source);
  std::map<std::string, std::string> notes;
  auto done = each_row(*statement, [&](Statement& row) { notes.emplace(row.text(0), row.text(1)); });
  if (!done) return std::move(done.error());
  return notes;
}

Result<void> insert_letter(Database& database, const DeadLetter& letter) {
  auto statement =
      Statement::prepare(database,
                         "INSERT INTO dead_letters (source, shard, function, qualifier, at_ms, record, payload)"
                         " VALUES (?, ?, ?, ?, ?, ?, ?)");
  if (!statement) return std::move(statement.error());
  statement->bind(letter.source).bind(letter.shard).bind(letter.function).bind(letter.qualifier);
  statement->bind(epoch_milliseconds(letter.at)).bind(letter.record).bind(letter.payload);
  return finish(*statement);
}

Result<std::int64_t> count_letters(Database& database) {
  auto statement = Statement::prepare(database, "SELECT count(*) FROM dead_letters");
  if (!statement) return std::move(statement.error());
  if (auto row = statement->step(); !row) return std::move(row.error());
  return statement->integer(0);
}

Result<std::vector<DeadLetter>> list_letters(Database& database, const DeadLetterFilter& which, std::size_t limit,
                                             bool whole) {
  auto newest_first = ids_from(database, End::kNewest, which, limit);
  if (!newest_first) return std::move(newest_first.error());
  auto statement = Statement::prepare(database, whole ? kWholeLetter : kBriefLetter);
  if (!statement) return std::move(statement.error());
  std::vector<DeadLetter> letters;
  letters.reserve(newest_first->size());
  for (auto id = newest_first->rbegin(); id != newest_first->rend(); ++id) {
    statement->reset();
    statement->bind(number(*id));
    auto row = statement->step();
    if (!row) return std::move(row.error());
    if (*row) letters.push_back(letter_of_row(*statement, whole));
  }
  return letters;
}

Result<std::vector<DeadLetter>> list_letter_piece(Database& database, const DeadLetterFilter& which, std::size_t limit,
                                                  std::size_t max_bytes) {
  auto oldest = ids_from(database, End::kOldest, which, limit);
  if (!oldest) return std::move(oldest.error());
  auto statement = Statement::prepare(database, kWholeLetter);
  if (!statement) return std::move(statement.error());
  std::vector<DeadLetter> letters;
  std::size_t bytes = 0;
  for (const std::uint64_t id : *oldest) {
    if (bytes >= max_bytes) break;
    statement->reset();
    statement->bind(number(id));
    auto row = statement->step();
    if (!row) return std::move(row.error());
    if (!*row) continue;
    letters.push_back(letter_of_row(*statement, true));
    bytes += letters.back().record.size() + letters.back().payload.size();
  }
  return letters;
}

Result<std::vector<std::uint64_t>> letter_ids(Database& database, const DeadLetterFilter& which, std::size_t limit) {
  return ids_from(database, End::kOldest, which, limit);
}

Result<std::optional<RedrivenLetter>> redrive_letter(Database& database, std::uint64_t id,
                                                     const std::string& request_id, WallTime now) {
  std::optional<RedrivenLetter> redriven;
  auto insert = Statement::prepare(
      database,
      "INSERT INTO events (function, accepted_ms, qualifier, request_id, source, trace_header, payload)"
      " SELECT function, ?2, qualifier, ?3, source, '', payload FROM dead_letters WHERE id = ?1"
      " RETURNING id, function, qualifier, length(CAST(payload AS BLOB))");
  if (!insert) return std::move(insert.error());
  insert->bind(number(id)).bind(epoch_milliseconds(now)).bind(request_id);
  auto inserted = each_row(*insert, [&](Statement& row) {
    redriven.emplace();
    redriven->event.id = static_cast<std::uint64_t>(row.integer(0));
    redriven->event.function = row.text(1);
    redriven->event.qualifier = row.text(2);
    redriven->event.accepted = now;
    redriven->bytes = static_cast<std::size_t>(row.integer(3));
  });
  if (!inserted) return std::move(inserted.error());
  auto remove = Statement::prepare(database, "DELETE FROM dead_letters WHERE id = ?");
  if (!remove) return std::move(remove.error());
  remove->bind(number(id));
  if (auto removed = finish(*remove); !removed) return std::move(removed.error());
  return redriven;
}

}  // namespace weir::store::queue
