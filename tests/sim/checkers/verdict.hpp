// The first thing that was wrong in a run. Values only; one thread.
#pragma once

#include <string>
#include <utility>

namespace weir::sim {

class Verdict {
 public:
  [[nodiscard]] bool holds() const { return violation_.empty(); }
  [[nodiscard]] const std::string& violation() const { return violation_; }
  /// Only the first counts: what follows may be its consequence.
  void fail(std::string violation) {
    if (violation_.empty()) {
      violation_ = std::move(violation);
    }
  }

 private:
  std::string violation_;
};

}  // namespace weir::sim
