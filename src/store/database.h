#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "weir/base/error.h"

namespace weir::store {

/// One SQLite file. Every failure is an Error that names the file and says which of the store's codes it is.
class Database {
 public:
  enum class Synchronous { kNormal, kFull };

  /// Opens or makes the file, in WAL mode, with `schema` (version 1) when it is new. A file of another program, a
  /// damaged one and one of a newer weir are refused.
  static Result<Database> open(const std::string& path, Synchronous synchronous, std::string_view schema);

  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  Result<void> execute(std::string_view sql);
  /// Whether no transaction is open.
  bool in_autocommit() const { return sqlite3_get_autocommit(handle_.get()) != 0; }
  /// The error that SQLite's last answer stands for.
  Error error(int status) const;

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  Result<void> prepare_schema(std::string_view schema);

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// A prepared statement, run once per reset: bind in order, then step.
class Statement {
 public:
  static Result<Statement> prepare(Database& database, std::string_view sql);

  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t number);
  /// True when there is a row, false at the end.
  Result<bool> step();
  std::string text(int column) const;
  std::int64_t integer(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  Statement(Database& database, sqlite3_stmt* handle) : database_(&database), handle_(handle) {}

  Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  int bound_ = 0;
};

}  // namespace weir::store
