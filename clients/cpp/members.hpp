#pragma once

#include <cstddef>
#include <vector>

#include "clients/cpp/endpoint.hpp"

namespace weir::client {

/// The brokers one client may talk to: those it was given, then those it learned from them. A plain value without
/// sockets; one thread at a time.
class Members {
 public:
  /// More members than a cluster can have: what an answer lists beyond this is ignored.
  static constexpr std::size_t kMembersMax = 64;

  /// `given` must not be empty.
  explicit Members(std::vector<Endpoint> given);

  [[nodiscard]] const Endpoint& current() const { return all_[current_]; }
  [[nodiscard]] const std::vector<Endpoint>& all() const { return all_; }

  /// Replaces what was learned before; the current one stays current.
  void learn(const std::vector<Endpoint>& cluster);

  /// The current one failed: the next in the list becomes current.
  void move_on() { current_ = (current_ + 1) % all_.size(); }

  /// A broker named where to go on.
  void prefer(const Endpoint& endpoint);

 private:
  std::vector<Endpoint> given_;
  std::vector<Endpoint> all_;  // given_ first; no two equal; never empty
  std::size_t current_ = 0;    // < all_.size()
};

}  // namespace weir::client
