#pragma once

#include <map>
#include <optional>
#include <string>

#include "weir/base/random.h"

#include "engine/concurrency_ledger.h"

namespace weir::simulation {

/// The ConcurrencyLedger as functions meet it, and a count of its own that it is compared with.
class Permits {
 public:
  explicit Permits(int account) : account_(account), ledger_(account) {}

  void add(const std::string& function) { uses_[function]; }
  /// Asks the ledger for a permit. False when it throttles.
  bool take(const std::string& function);
  void give_back(const std::string& function);
  /// One function's reservation is made, changed or taken away. True when that blocks it.
  bool change(Random& random);
  /// Blocked functions may run again: one that stays blocked would stand still for ever.
  void unblock();
  /// Another function, without a reservation at first, uses up the account, or goes again. True when it came.
  bool crowd();
  /// The process was killed: nobody runs, reservations are made again.
  void forget();
  /// The world is at its end, and so is the crowd: every permit must have come back.
  void check_end();

  /// What the ledger did against its rule, as a sentence; null if nothing.
  const char* broken() const { return broken_; }

 private:
  struct Use {
    int executing = 0;
    std::optional<int> reserved;
  };

  void promise(bool kept, const char* otherwise) {
    if (!kept && broken_ == nullptr) broken_ = otherwise;
  }

  int account_;
  engine::ConcurrencyLedger ledger_;
  std::map<std::string, Use> uses_;
  const char* broken_ = nullptr;
};

}  // namespace weir::simulation
