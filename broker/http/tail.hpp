// Readers of one net thread that follow the same topics. Those that stand at the same place share one read of the log,
// and all that are caught up share one wait for more: what the core does for a topic with a thousand followers is what
// it does for one. Runs on its shard's net thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "broker/gateway.hpp"

namespace weir::broker::http {

class Tail : public std::enable_shared_from_this<Tail> {
 public:
  using Result = std::expected<std::shared_ptr<const ReadBatch>, ReadError>;
  using Done = std::move_only_function<void(const Result&)>;
  using Wake = std::move_only_function<void()>;

  Tail(Gateway& gateway, boost::asio::any_io_executor net, std::shared_ptr<const Selector> selector)
      : gateway_(gateway), net_(std::move(net)), selector_(std::move(selector)) {}

  /// `done` runs later. A read that is under way already, of the same place and with the same limits, answers this one
  /// too: so not for readers that must see what was applied before they asked.
  void read(const ReadState& from, ReadLimits limits, Done done);

  /// One reader's wait. Once it is gone its `wake` does not run any more.
  class Waiting {
   public:
    Waiting(std::shared_ptr<Tail> tail, std::uint64_t number) : tail_(std::move(tail)), number_(number) {}
    Waiting(Waiting&& other) noexcept = default;
    Waiting& operator=(Waiting&&) = delete;
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting();

   private:
    std::shared_ptr<Tail> tail_;
    std::uint64_t number_;
  };
  /// `wake` runs once, later, when there is an event after `after` that is wanted, or to no purpose: look again then.
  [[nodiscard]] Waiting wait(raft::Position after, Wake wake);

 private:
  /// Belongs to whoever will answer it: a core that has stopped takes it along, and those who wait for it.
  struct Pending {
    ReadState from;
    ReadLimits limits;
    std::vector<Done> answers;
    bool answered = false;
  };
  /// What the core was asked to tell.
  struct Watch {
    raft::Position after;
    Gateway::Watch handle;
  };

  static void answer(Pending& pending, const Result& result);
  void woken();

  Gateway& gateway_;
  boost::asio::any_io_executor net_;
  std::shared_ptr<const Selector> selector_;
  std::vector<std::weak_ptr<Pending>> pending_;
  std::map<std::uint64_t, Wake> waiting_;  ///< in order of arrival
  std::optional<Watch> watch_;
  std::uint64_t last_number_ = 0;
};

}  // namespace weir::broker::http
