#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "weir/base/error.h"

namespace weir::store {

/// One connection to one SQLite file, used by one thread. Every failure is an Error that names the file and says which
/// of the store's codes it is.
class Database {
 public:
  /// kNormal: a commit is there after the process was killed. kFull: after a power loss too (one fsync a commit).
  enum class Synchronous { kNormal, kFull };
  /// kPassive: what is possible while others read. kTruncate: all of it, and the log is emptied.
  enum class Checkpoint { kPassive, kTruncate };

  /// Opens or makes the file, in WAL mode, with `schema` (version 1) when it is new. Each of the upgrades takes a file
  /// of its version to the next; what a file has not seen of them is done to it, in one transaction. A file of another
  /// program, a damaged one and one of a newer weir are refused, and not changed.
  static Result<Database> open(const std::string& path, Synchronous synchronous, std::string_view schema,
                               std::span<const std::string_view> upgrades = {});
  /// A second connection to a file that is open, for reading: it sees what is committed, and waits for no writer.
  static Result<Database> open_to_read(const std::string& path);

  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  /// Any number of statements, once.
  Result<void> execute(std::string_view sql);
  /// One statement without arguments, kept prepared.
  Result<void> run(std::string_view sql);
  /// Whether no transaction is open.
  bool in_autocommit() const { return sqlite3_get_autocommit(handle_.get()) != 0; }
  /// Of the last row that was inserted, and how many rows the last INSERT, UPDATE or DELETE changed.
  std::int64_t last_insert_id() const { return sqlite3_last_insert_rowid(handle_.get()); }
  int changes() const { return sqlite3_changes(handle_.get()); }
  /// The error that SQLite's last answer stands for.
  Error error(int status) const;

  const std::string& path() const { return path_; }
  bool reads_only() const { return reads_only_; }
  Synchronous synchronous() const { return synchronous_; }
  /// For the transactions to come; not within one.
  Result<void> set_synchronous(Synchronous synchronous);

  /// Takes the checkpoints of the write-ahead log into the caller's hands: none happens within a commit any more.
  void checkpoint_by_hand();
  /// How many pages the log held after the last commit.
  int log_pages() const { return *log_pages_; }
  Result<void> checkpoint(Checkpoint mode);

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  struct Prepared {
    std::unique_ptr<sqlite3_stmt, Finalize> handle;
    bool in_use = false;
  };
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  static Result<Database> connect(const std::string& path, int flags);
  Result<std::int64_t> read_number(std::string_view sql);
  /// The version of the file's schema; 0 when it is new and empty. An error when it is not one of weir's, or newer.
  Result<std::int64_t> look_at(std::int64_t newest);

  std::string path_;
  bool reads_only_ = false;
  Synchronous synchronous_ = Synchronous::kFull;
  std::unique_ptr<int> log_pages_ = std::make_unique<int>(0);  ///< SQLite writes it, so it does not move
  std::unique_ptr<sqlite3, Close> handle_;
  std::map<std::string, Prepared, std::less<>> prepared_;  ///< bounded: the program's statements are literals
};

/// A prepared statement: bind in order, then step. The database keeps it prepared for the next one who asks for it.
class Statement {
 public:
  static Result<Statement> prepare(Database& database, std::string_view sql);

  /// The text is not copied: it outlives the statement.
  Statement& bind(std::string_view text);
  Statement& bind(std::string&& text) = delete;
  Statement& bind(std::int64_t number);
  /// Ready to be bound and run again.
  void reset();
  /// True when there is a row, false at the end.
  Result<bool> step();
  std::string text(int column) const;
  std::int64_t integer(int column) const;
  bool is_null(int column) const;

 private:
  /// Gives the statement back to the database, or ends it when it was made for one use.
  struct Return {
    Database::Prepared* place;
    void operator()(sqlite3_stmt* handle) const;
  };
  Statement(Database& database, sqlite3_stmt* handle, Database::Prepared* place)
      : database_(&database), handle_(handle, Return{place}) {}

  Database* database_;
  std::unique_ptr<sqlite3_stmt, Return> handle_;
  int bound_ = 0;
};

}  // namespace weir::store
