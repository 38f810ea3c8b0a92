#include "store/database_thread.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <variant>

#include <boost/asio/post.hpp>

#include "runtime/offload.h"

namespace weir::store {
namespace {

using Done = runtime::Completion<Result<void>>;
using Steady = std::chrono::steady_clock;

}  // namespace

struct DatabaseThread::Waiting {
  Job job;
  Urgency urgency = Urgency::kNow;
  std::variant<Done, std::promise<Result<void>>*> done;
  Result<void> result;
};

struct DatabaseThread::Inbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Waiting> queue;
  bool ready = false;     ///< the thread may take what is queued
  bool flushing = false;  ///< a Flush is on its way
  bool ending = false;
  std::optional<Steady::time_point> patience_ends;  ///< of the oldest lazy job

  void wake() {
    {
      const std::lock_guard lock(mutex);
      ready = true;
      flushing = false;
    }
    changed.notify_one();
  }
};

/// Wakes the thread at the executor's next turn: everybody who was resumed in this turn and writes again is then in one
/// group, instead of the first alone and the others waiting for its fsync. Works by its end, so that an executor that
/// is given up wakes the thread too.
class DatabaseThread::Flush {
 public:
  explicit Flush(std::shared_ptr<Inbox> inbox) : inbox_(std::move(inbox)) {}
  Flush(Flush&&) noexcept = default;
  Flush& operator=(Flush&&) = delete;
  ~Flush() {
    if (inbox_) inbox_->wake();
  }
  void operator()() const {}

 private:
  std::shared_ptr<Inbox> inbox_;
};

DatabaseThread::DatabaseThread(Database database, Limits limits)
    : database_(std::move(database)),
      limits_(limits),
      synchronous_(database_.synchronous()),
      inbox_(std::make_shared<Inbox>()) {
  if (!database_.reads_only()) database_.checkpoint_by_hand();
  thread_ = std::thread([this] { run(); });
}

DatabaseThread::~DatabaseThread() {
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->ending = true;
  }
  inbox_->changed.notify_one();
  thread_.join();
}

net::awaitable<Result<void>> DatabaseThread::perform(Job job, Urgency urgency) {
  auto start = [this, urgency, job = std::move(job)](Done done) mutable {
    const net::any_io_executor executor = done.executor();
    bool flush = false;
    bool wait_less = false;
    {
      const std::lock_guard lock(inbox_->mutex);
      inbox_->queue.push_back(Waiting{std::move(job), urgency, std::move(done), {}});
      if (urgency != Urgency::kLazy) {
        flush = !std::exchange(inbox_->flushing, true);
      } else if (!inbox_->patience_ends) {
        inbox_->patience_ends = Steady::now() + limits_.patience;
        wait_less = true;
      }
    }
    if (flush) net::post(executor, Flush(inbox_));
    if (wait_less) inbox_->changed.notify_one();
  };
  co_return co_await runtime::completed_by<Result<void>>(std::move(start));
}

Result<void> DatabaseThread::perform_and_wait(Job job) {
  std::promise<Result<void>> promise;
  auto result = promise.get_future();
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->queue.push_back(Waiting{std::move(job), Urgency::kNow, &promise, {}});
  }
  inbox_->wake();
  return result.get();
}

void DatabaseThread::run() {
  for (;;) {
    std::vector<Waiting> group;
    {
      std::unique_lock lock(inbox_->mutex);
      const auto due = [this] {
        return inbox_->ending || inbox_->ready || inbox_->queue.size() >= limits_.group_max ||
               (inbox_->patience_ends && Steady::now() >= *inbox_->patience_ends);
      };
      while (!due()) {
        if (inbox_->patience_ends) {
          inbox_->changed.wait_until(lock, *inbox_->patience_ends);
        } else {
          inbox_->changed.wait(lock);
        }
      }
      auto& queue = inbox_->queue;
      if (queue.empty() && inbox_->ending) return;
      if (queue.size() <= limits_.group_max) {
        group.swap(queue);
        inbox_->ready = false;
        inbox_->patience_ends.reset();
      } else {
        const auto end = queue.begin() + static_cast<std::ptrdiff_t>(limits_.group_max);
        group.assign(std::move_iterator(queue.begin()), std::move_iterator(end));
        queue.erase(queue.begin(), end);
        inbox_->ready = true;
      }
    }
    if (group.empty()) continue;
    commit(group);
    answer(std::move(group));
    write_back();
  }
}

void DatabaseThread::answer(std::vector<Waiting> group) {
  // One post for all who wait on one executor: a post each costs more than the row it answers.
  struct Together {
    net::any_io_executor executor;
    std::vector<std::pair<Done, Result<void>>> answers;
  };
  std::vector<Together> posts;
  for (Waiting& each : group) {
    if (auto* blocked = std::get_if<std::promise<Result<void>>*>(&each.done)) {
      (*blocked)->set_value(std::move(each.result));
      continue;
    }
    Done& done = std::get<Done>(each.done);
    if (posts.empty() || posts.back().executor != done.executor()) posts.push_back({done.executor(), {}});
    posts.back().answers.emplace_back(std::move(done), std::move(each.result));
  }
  for (Together& together : posts) {
    net::post(together.executor, [answers = std::move(together.answers)]() mutable {
      for (auto& [done, result] : answers) done(std::move(result));
    });
  }
}

void DatabaseThread::commit(Group group) {
  Result<void> committed;
  if (!database_.reads_only()) {
    const auto has = [&](Urgency urgency) {
      return std::any_of(group.begin(), group.end(), [&](const Waiting& each) { return each.urgency == urgency; });
    };
    committed = database_.set_synchronous(has(Urgency::kOnDisk) ? Database::Synchronous::kFull
                                          : has(Urgency::kNow)  ? synchronous_
                                                                : Database::Synchronous::kNormal);
  }
  if (committed) committed = commit_in_parts(group);
  if (committed) return;
  for (Waiting& each : group) each.result = committed.error();
}

Result<void> DatabaseThread::commit_in_parts(Group group) {
  bool a_job_failed = false;
  Result<void> committed = try_commit(group, false, a_job_failed);
  // Only now, because savepoints cost as much as the rows.
  if (!committed && a_job_failed && group.size() > 1) committed = try_commit(group, true, a_job_failed);
  if (committed) return committed;
  if (a_job_failed && group.size() == 1) {
    group.front().result = std::move(committed);
    return {};
  }
  if (committed.error().code() != ErrorCode::kStoreFull || group.size() == 1) return committed;
  // There may be room for some: what is large must not keep those waiting that need none, or make room.
  for (const Group half : {group.first(group.size() / 2), group.subspan(group.size() / 2)}) {
    if (auto done = commit_in_parts(half); !done) {
      for (Waiting& each : half) each.result = done.error();
    }
  }
  return {};
}

Result<void> DatabaseThread::try_commit(Group group, bool savepoints, bool& a_job_failed) {
  a_job_failed = false;
  Result<void> outcome = in_doubt_ ? end_doubt() : Result<void>();
  if (outcome) outcome = database_.run(database_.reads_only() ? "BEGIN" : "BEGIN IMMEDIATE");
  if (!outcome) return outcome;
  for (Waiting& each : group) {
    Result<void> done = savepoints ? database_.run("SAVEPOINT job") : Result<void>();
    if (done) done = each.job(database_);
    // SQLite may have given up the whole transaction, as on a full disk: nobody's write was kept.
    const bool given_up = database_.in_autocommit();
    if (!done && (given_up || !savepoints)) {
      a_job_failed = !given_up;
      outcome = std::move(done);
      break;
    }
    if (savepoints) {
      if (!done) outcome = database_.run("ROLLBACK TO job");
      if (outcome) outcome = database_.run("RELEASE job");
      if (!outcome) break;
    }
    each.result = std::move(done);
  }
  if (outcome) {
    outcome = database_.run("COMMIT");
    // Not so when there was no room: then the log has no end of this transaction, and it counts for nothing.
    if (!outcome && outcome.error().code() != ErrorCode::kStoreFull) in_doubt_ = !database_.reads_only();
  }
  if (!outcome) {
    // Its failure says that SQLite has rolled back by itself.
    if (!database_.in_autocommit()) static_cast<void>(database_.run("ROLLBACK"));
    // Should it fail, the next group tries again and is told why.
    if (in_doubt_) static_cast<void>(end_doubt());
  }
  return outcome;
}

Result<void> DatabaseThread::end_doubt() {
  // A commit whose fsync failed stands in the log all the same, where a restart would find it; and what the kernel
  // could not write it has forgotten, so that a later fsync says nothing about it. Writing all that is committed to the
  // file and emptying the log settles both.
  auto settled = database_.checkpoint(Database::Checkpoint::kTruncate);
  in_doubt_ = !settled;
  return settled;
}

void DatabaseThread::write_back() {
  if (database_.reads_only()) return;
  const int pages = database_.log_pages();
  if (pages < written_back_) written_back_ = 0;  // all was in the file and nobody read: the log began anew
  if (pages - written_back_ < limits_.log_pages) return;
  written_back_ = pages;
  // A failure loses nothing, for the log has it all: it is tried again later, and a full disk is told by commits. After
  // any other one it is open what the disk has of the log.
  const auto written = database_.checkpoint(Database::Checkpoint::kPassive);
  if (!written && written.error().code() != ErrorCode::kStoreFull) in_doubt_ = true;
}

}  // namespace weir::store
