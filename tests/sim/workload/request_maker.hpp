// Draws what clients write: new requests, and repeats of earlier ones. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "tests/sim/checkers/model.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/workload/request.hpp"

namespace weir::sim {

class RequestMaker {
 public:
  RequestMaker(const Model& model, Dice dice) : model_(model), dice_(dice) {}

  /// New, or one of the latest again: with the same ids, so that it may be stored once at the most.
  std::shared_ptr<Request> next();
  /// An id that was used lately, or one that never was.
  wire::Claim some_id();

 private:
  std::shared_ptr<Request> draw();
  void add_event(Request& request, std::string id);
  void draw_reuse(Request& request);
  [[nodiscard]] std::string topic();
  [[nodiscard]] std::string fresh_id() { return "i" + std::to_string(++last_id_); }

  const Model& model_;
  Dice dice_;
  std::deque<std::shared_ptr<Request>> latest_;  ///< repeatable ones
  std::uint64_t last_number_ = 0;
  std::uint64_t last_id_ = 0;
};

}  // namespace weir::sim
