#include "store/database.h"

#include <algorithm>

namespace weir::store {
namespace {

constexpr int kApplicationId = 0x77656972;  // "weir"

ErrorCode code_of(int status) {
  switch (status & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kStoreLocked;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorCode::kStoreReadOnly;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kStoreCorrupt;
    case SQLITE_FULL:
      return ErrorCode::kStoreFull;
    default:
      return ErrorCode::kStoreFailed;
  }
}

}  // namespace

Error Database::error(int status) const {
  const char* said = handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(status);
  return Error(code_of(status), path_ + ": " + said);
}

Result<Database> Database::connect(const std::string& path, int flags) {
  sqlite3* handle = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(path, handle);
  if (status != SQLITE_OK) return database.error(status);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 2'000);
  return database;
}

Result<Database> Database::open(const std::string& path, Synchronous synchronous, std::string_view schema,
                                std::span<const std::string_view> upgrades) {
  auto database = connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!database) return database;
  const auto newest = 1 + static_cast<std::int64_t>(upgrades.size());
  auto version = database->look_at(newest);
  if (!version) return std::move(version.error());
  if (auto done = database->execute("PRAGMA journal_mode=WAL"); !done) return std::move(done.error());
  database->synchronous_ = synchronous;
  const std::string_view pragma =
      synchronous == Synchronous::kFull ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
  if (auto done = database->execute(pragma); !done) return std::move(done.error());
  if (*version < newest) {
    std::string sql = "BEGIN IMMEDIATE;";
    if (*version == 0)
      sql.append(schema).append(";PRAGMA application_id=").append(std::to_string(kApplicationId) + ";");
    for (auto seen = std::max<std::int64_t>(*version, 1); seen < newest; ++seen) {
      sql.append(upgrades[static_cast<std::size_t>(seen - 1)]).append(";");
    }
    sql.append("PRAGMA user_version=" + std::to_string(newest) + ";COMMIT");
    if (auto made = database->execute(sql); !made) return std::move(made.error());
  }
  return database;
}

Result<Database> Database::open_to_read(const std::string& path) {
  // Not SQLITE_OPEN_READONLY: a connection that cannot write cannot recover the log either, should it come first.
  auto database = connect(path, SQLITE_OPEN_READWRITE);
  if (!database) return database;
  if (auto done = database->execute("PRAGMA query_only=1"); !done) return std::move(done.error());
  database->reads_only_ = true;
  return database;
}

Result<std::int64_t> Database::read_number(std::string_view sql) {
  auto statement = Statement::prepare(*this, sql);
  if (!statement) return std::move(statement.error());
  if (auto row = statement->step(); !row) return std::move(row.error());
  return statement->integer(0);
}

Result<std::int64_t> Database::look_at(std::int64_t newest) {
  const auto tables = read_number("SELECT count(*) FROM sqlite_master");
  if (!tables) return std::move(tables.error());
  if (*tables == 0) return 0;
  const auto application = read_number("PRAGMA application_id");
  if (!application) return std::move(application.error());
  if (*application != kApplicationId)
    return Error(ErrorCode::kStoreCorrupt, path_ + ": is a database of another program");
  const auto version = read_number("PRAGMA user_version");
  if (!version) return std::move(version.error());
  if (*version > newest) {
    return Error(ErrorCode::kStoreVersion, path_ + ": has schema version " + std::to_string(*version) +
                                               ", this weir knows " + std::to_string(newest) +
                                               "; use a newer weir or another state folder");
  }
  return *version;
}

Result<void> Database::execute(std::string_view sql) {
  const int status = sqlite3_exec(handle_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) return error(status);
  return {};
}

Result<void> Database::run(std::string_view sql) {
  auto statement = Statement::prepare(*this, sql);
  if (!statement) return std::move(statement.error());
  if (auto done = statement->step(); !done) return std::move(done.error());
  return {};
}

Result<void> Database::set_synchronous(Synchronous synchronous) {
  if (synchronous == synchronous_) return {};
  // Takes effect when it is prepared, so it is not kept.
  const auto set = execute(synchronous == Synchronous::kFull ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  if (set) synchronous_ = synchronous;
  return set;
}

void Database::checkpoint_by_hand() {
  sqlite3_wal_hook(
      handle_.get(),
      [](void* log_pages, sqlite3*, const char*, int pages) {
        *static_cast<int*>(log_pages) = pages;
        return SQLITE_OK;
      },
      log_pages_.get());
}

Result<void> Database::checkpoint(Checkpoint mode) {
  const int how = mode == Checkpoint::kTruncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  const int status = sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, how, nullptr, nullptr);
  if (status != SQLITE_OK) return error(status);
  return {};
}

Result<Statement> Statement::prepare(Database& database, std::string_view sql) {
  auto kept = database.prepared_.find(sql);
  if (kept != database.prepared_.end() && !kept->second.in_use) {
    kept->second.in_use = true;
    return Statement(database, kept->second.handle.get(), &kept->second);
  }
  sqlite3_stmt* handle = nullptr;
  const int status = sqlite3_prepare_v3(database.handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (status != SQLITE_OK) return database.error(status);
  if (kept != database.prepared_.end()) return Statement(database, handle, nullptr);
  kept = database.prepared_.try_emplace(std::string(sql)).first;
  kept->second.handle.reset(handle);
  kept->second.in_use = true;
  return Statement(database, handle, &kept->second);
}

void Statement::Return::operator()(sqlite3_stmt* handle) const {
  if (place == nullptr) {
    sqlite3_finalize(handle);
    return;
  }
  // It answers with the failure of the last step, which has been told.
  static_cast<void>(sqlite3_reset(handle));
  sqlite3_clear_bindings(handle);
  place->in_use = false;
}

Statement& Statement::bind(std::string_view text) {
  sqlite3_bind_text64(handle_.get(), ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(std::int64_t number) {
  sqlite3_bind_int64(handle_.get(), ++bound_, number);
  return *this;
}

void Statement::reset() {
  // It answers with the failure of the last step, which has been told.
  static_cast<void>(sqlite3_reset(handle_.get()));
  bound_ = 0;
}

Result<bool> Statement::step() {
  const int status = sqlite3_step(handle_.get());
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  return database_->error(status);
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  return bytes == nullptr ? std::string()
                          : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column)));
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

}  // namespace weir::store
