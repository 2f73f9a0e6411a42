// One run: a whole cluster and its clients from one seed, in virtual time. First everything goes wrong, then everything
// is healed, and the cluster must come together. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/faults.hpp"
#include "tests/sim/workload/look_ups.hpp"
#include "tests/sim/workload/operator.hpp"
#include "tests/sim/workload/publisher.hpp"
#include "tests/sim/workload/request_maker.hpp"
#include "tests/sim/workload/subscriber.hpp"
#include "tests/sim/workload/worker.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

struct Result {
  std::uint64_t seed = 0;
  std::string violation;  ///< empty = all held
  std::uint64_t hash = 0;
  std::uint64_t tasks = 0;
  std::uint64_t virtual_us = 0;
  std::size_t events = 0;  ///< in the log at the end
  Coverage coverage;
};

class Simulation {
 public:
  explicit Simulation(const Settings& settings);
  Result run();

 private:
  void draw_clients();
  void change_dedup();
  void run_faults();
  void run_healed();
  void come_together();
  [[nodiscard]] bool is_long_enough() const;
  [[nodiscard]] std::string what_is_missing() const;
  [[nodiscard]] std::string missing_of_members() const;
  [[nodiscard]] bool is_member(const SimNode& node) const;
  void read_everything();
  void read_on(SimNode& node, broker::ReadState from);
  void check_end();

  Dice dice_;
  std::size_t founder_count_;
  World world_;
  RequestMaker maker_;
  Faults faults_;
  Operator operator_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::vector<std::unique_ptr<Subscriber>> subscribers_;
  LookUps look_ups_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::size_t open_reads_ = 0;
};

[[nodiscard]] Result simulate(const Settings& settings);

}  // namespace weir::sim
