#pragma once

#include <map>
#include <memory>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "weir/base/random.h"
#include "weir/service.h"

#include "connectors/eventbridge/api.h"
#include "connectors/eventbridge/delivering.h"
#include "connectors/eventbridge/model.h"
#include "service/turns.h"

namespace weir::eventbridge {

/// EventBridge: buses, rules, targets, archives and replays. What it decides is Model's, Api's and Delivering's
/// business; this asks the disk and the clock.
class EventsService final : public Service {
 public:
  explicit EventsService(ServiceContext context);

  net::awaitable<Result<void>> run(ServiceHost& host) override;
  net::awaitable<ServiceAnswer> call(ServiceHost& host, ServiceCall call) override;
  bool ready() const override { return ready_; }
  bool owns(std::string_view target) const override;
  net::awaitable<Result<void>> take(ServiceHost& host, std::string target, DestinationRecord message) override;

 private:
  Model declared() const;
  net::awaitable<Result<void>> load(ServiceHost& host);
  net::awaitable<service::Turns::Turn> change();
  net::awaitable<void> room();
  net::awaitable<ServiceAnswer> manage(ServiceHost& host, ServiceCall call);
  net::awaitable<ServiceAnswer> put_events(ServiceHost& host, ServiceCall call);
  PutResult put_entry(Delivering& delivering, PutEntry& entry, const std::string& trace_header, WallTime now,
                      Event& event);
  net::awaitable<Result<void>> keep(ServiceHost& host, Delivering& delivering);
  net::awaitable<Result<void>> remember(ServiceHost& host, std::vector<SourceNote> notes);
  net::awaitable<Result<bool>> tidy_some(ServiceHost& host);
  net::awaitable<Result<bool>> forget_old(ServiceHost& host, Archive archive, WallTime older);
  net::awaitable<Result<void>> forget_left_over(ServiceHost& host, std::string log);
  net::awaitable<Result<bool>> replay_some(ServiceHost& host);
  net::awaitable<Result<bool>> replay_some(ServiceHost& host, Replay replay);
  void replay_page(Delivering& delivering, Replay& replay, const KeptPage& page);
  net::awaitable<Result<std::optional<WallTime>>> run_schedules(ServiceHost& host);
  void log_dropped(const Delivering& delivering);
  void log_too_large(const Event& event);
  Delivering::TargetOf target_of(const ServiceHost& host) const;

  ServiceContext context_;
  Model model_;
  Random random_;
  std::set<std::string> untidied_;  ///< archives whose old events are still to be forgotten
  std::set<std::string> logged_;    ///< rules and targets whose template came to nothing
  net::steady_timer wake_;
  service::Turns turns_;  ///< at changing the model
  Held held_;
  net::steady_timer freed_;  ///< is cancelled when something was given back
  service::Turns for_room_;
  std::shared_ptr<const schedule::TimeZone> utc_;  ///< in which rules have their schedules
  bool changed_ = false;                           ///< since run() last looked
  bool ready_ = false;
};

}  // namespace weir::eventbridge
