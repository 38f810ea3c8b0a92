#include "store/database.h"

namespace weir::store {
namespace {

constexpr int kApplicationId = 0x77656972;  // "weir"
constexpr int kSchemaVersion = 1;

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

Result<Database> Database::open(const std::string& path, Synchronous synchronous, std::string_view schema) {
  sqlite3* handle = nullptr;
  const int status =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(path, handle);
  if (status != SQLITE_OK) return database.error(status);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 2'000);
  for (std::string_view pragma : {std::string_view("PRAGMA journal_mode=WAL"),
                                  std::string_view(synchronous == Synchronous::kFull ? "PRAGMA synchronous=FULL"
                                                                                     : "PRAGMA synchronous=NORMAL")}) {
    if (auto done = database.execute(pragma); !done) return std::move(done.error());
  }
  if (auto made = database.prepare_schema(schema); !made) return std::move(made.error());
  return database;
}

Result<void> Database::prepare_schema(std::string_view schema) {
  auto read_number = [this](std::string_view sql) -> Result<std::int64_t> {
    auto statement = Statement::prepare(*this, sql);
    if (!statement) return std::move(statement.error());
    if (auto row = statement->step(); !row) return std::move(row.error());
    return statement->integer(0);
  };
  const auto tables = read_number("SELECT count(*) FROM sqlite_master");
  if (!tables) return std::move(tables.error());
  if (*tables == 0) {
    const std::string sql = "BEGIN IMMEDIATE;" + std::string(schema) +
                            ";PRAGMA application_id=" + std::to_string(kApplicationId) +
                            ";PRAGMA user_version=" + std::to_string(kSchemaVersion) + ";COMMIT";
    return execute(sql);
  }
  const auto application = read_number("PRAGMA application_id");
  if (!application) return std::move(application.error());
  if (*application != kApplicationId)
    return Error(ErrorCode::kStoreCorrupt, path_ + ": is a database of another program");
  const auto version = read_number("PRAGMA user_version");
  if (!version) return std::move(version.error());
  if (*version > kSchemaVersion) {
    return Error(ErrorCode::kStoreVersion, path_ + ": has schema version " + std::to_string(*version) +
                                               ", this weir knows " + std::to_string(kSchemaVersion) +
                                               "; use a newer weir or another state folder");
  }
  return {};
}

Result<void> Database::execute(std::string_view sql) {
  const int status = sqlite3_exec(handle_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) return error(status);
  return {};
}

Result<Statement> Statement::prepare(Database& database, std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  const int status =
      sqlite3_prepare_v2(database.handle_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr);
  if (status != SQLITE_OK) return database.error(status);
  return Statement(database, handle);
}

Statement& Statement::bind(std::string_view text) {
  sqlite3_bind_text64(handle_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(std::int64_t number) {
  sqlite3_bind_int64(handle_.get(), ++bound_, number);
  return *this;
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

}  // namespace weir::store
