// Linear reads: each waits until Raft has confirmed an index (ReadIndex) and that index is applied here.
// Runs on the core strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "raft/message.hpp"
#include "raft/types.hpp"

namespace weir::broker {

class ReadBarriers {
 public:
  using Done = std::move_only_function<void(bool)>;

  ReadBarriers(raft::NodeId self, std::uint64_t boot_nonce) : self_(self), boot_nonce_(boot_nonce) {}

  void add(std::uint64_t deadline_us, Done done);
  /// The question to put to Raft for all that have not been asked, or were asked too long ago; empty if there are none.
  [[nodiscard]] std::optional<raft::ReadContext> ask(std::uint64_t now_us);
  void confirmed(const raft::ReadContext& context, raft::Index index);
  /// Answers those whose index is applied, and those past their deadline.
  void settle(raft::Index applied, std::uint64_t now_us);
  void abandon();
  [[nodiscard]] bool empty() const { return barriers_.empty(); }

 private:
  struct Barrier {
    std::uint64_t deadline_us = 0;
    /// Of the first question put after it came, 0 = not asked yet: the answer to that one or to any later one confirms
    /// it, so a network slower than the asking does not starve it.
    std::uint64_t sequence = 0;
    std::uint64_t asked_us = 0;  ///< the latest question
    std::optional<raft::Index> index;
    Done done;
  };

  raft::NodeId self_;
  std::uint64_t boot_nonce_;
  std::uint64_t last_sequence_ = 0;
  std::map<std::uint64_t, Barrier> barriers_;  ///< in order of arrival
  std::uint64_t last_barrier_ = 0;
};

}  // namespace weir::broker
