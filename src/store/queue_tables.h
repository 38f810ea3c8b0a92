#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"

#include "store/database.h"
#include "store/event_store.h"

/// The statements of `queue.sqlite`. Each function is a part of its caller's transaction and may be called again after
/// that was rolled back.
namespace weir::store::queue {

/// Events are written once and deleted once; what changes while they wait is small and has a table of its own, so that
/// a retry does not write the payload again.
inline constexpr std::string_view kSchema =
    "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, function TEXT NOT NULL, accepted_ms INTEGER NOT NULL,"
    " qualifier TEXT NOT NULL, request_id TEXT NOT NULL, source TEXT NOT NULL, trace_header TEXT NOT NULL,"
    " payload TEXT NOT NULL);"
    "CREATE TABLE retries (id INTEGER PRIMARY KEY, attempts INTEGER NOT NULL, due_ms INTEGER NOT NULL);"
    "CREATE TABLE notes (source TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (source, key))"
    " WITHOUT ROWID;"
    "CREATE TABLE dead_letters (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, shard TEXT NOT NULL,"
    " function TEXT NOT NULL, qualifier TEXT NOT NULL, at_ms INTEGER NOT NULL, record TEXT NOT NULL,"
    " payload TEXT NOT NULL);"
    // Without it counting them reads every payload.
    "CREATE INDEX dead_letters_of ON dead_letters (function, source);"
    "CREATE TABLE taken_over (file TEXT PRIMARY KEY) WITHOUT ROWID";

/// Since version 2: events that services keep to be read again.
/// Since version 3: the dead letters of a function, or of a source, in order of id without a look at the others.
inline constexpr std::array<std::string_view, 2> kUpgrades{
    "CREATE TABLE kept (id INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL, at_ms INTEGER NOT NULL,"
    " event TEXT NOT NULL);"
    "CREATE INDEX kept_of ON kept (log, at_ms, id)",
    "DROP INDEX dead_letters_of;"
    "CREATE INDEX dead_letters_of_function ON dead_letters (function, id, source);"
    "CREATE INDEX dead_letters_of_source ON dead_letters (source, id)"};

/// Gives them their ids.
Result<void> insert_events(Database& database, std::span<StoredEvent> events);
Result<StoredEvent> load_event(Database& database, std::uint64_t id);
/// store.failed when there is no such event.
Result<void> write_retry(Database& database, std::uint64_t id, int attempts, WallTime due);
/// Whether there was one.
Result<bool> delete_event(Database& database, std::uint64_t id);
/// The id of the newest event that waits; 0 when none does.
Result<std::uint64_t> newest_event(Database& database);
/// At most `limit` events with ids above `after` up to `last`, in order of id.
Result<std::vector<WaitingEvent>> waiting_events(Database& database, std::uint64_t after, std::uint64_t last,
                                                 std::size_t limit);

Result<void> insert_kept(Database& database, const KeptEvent& event);
/// The first of the events of a log that are wanted.
Result<KeptPage> kept_events(Database& database, const KeptRange& range);
/// Forgets at most `limit` events of a log that are older; returns how many.
Result<int> delete_kept(Database& database, std::string_view log, WallTime before, std::size_t limit);

Result<void> write_note(Database& database, const StoredNote& note);
Result<std::map<std::string, std::string>> read_notes(Database& database, std::string_view source);

Result<void> insert_letter(Database& database, const DeadLetter& letter);
Result<std::int64_t> count_letters(Database& database);
/// The newest `limit`, newest last.
Result<std::vector<DeadLetter>> list_letters(Database& database, const DeadLetterFilter& which, std::size_t limit,
                                             bool whole);
/// The oldest, whole: at most `limit`, and none more once they are `max_bytes`.
Result<std::vector<DeadLetter>> list_letter_piece(Database& database, const DeadLetterFilter& which, std::size_t limit,
                                                  std::size_t max_bytes);
/// The ids of the oldest `limit`, in order.
Result<std::vector<std::uint64_t>> letter_ids(Database& database, const DeadLetterFilter& which, std::size_t limit);
struct RedrivenLetter {
  WaitingEvent event;
  std::size_t bytes = 0;  ///< of its payload
};
/// Nothing when there is no such letter any more.
Result<std::optional<RedrivenLetter>> redrive_letter(Database& database, std::uint64_t id,
                                                     const std::string& request_id, WallTime now);

}  // namespace weir::store::queue
