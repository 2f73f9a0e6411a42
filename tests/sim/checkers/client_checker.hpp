// What clients are told, against the model: acknowledged is stored for good and on a majority of disks, refused never
// appears, one id is one event, later requests get later positions, linear look-ups miss nothing. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "tests/sim/checkers/model.hpp"
#include "tests/sim/checkers/raft_checker.hpp"
#include "tests/sim/workload/request.hpp"

namespace weir::sim {

class ClientChecker {
 public:
  ClientChecker(World& world, Verdict& verdict, const Model& model, const RaftChecker& raft)
      : world_(world), verdict_(verdict), model_(model), raft_(raft) {}

  [[nodiscard]] Attempt begin(std::shared_ptr<Request> request);
  void answered(const Attempt& attempt, const wire::Outcome& outcome);
  /// A question where an id was stored, behind a linear barrier.
  struct Question {
    wire::Claim id;
    bool is_told = false;  ///< some client had been told of the id when it was asked
    raft::Index begun_at;  ///< as far as committed then
  };
  [[nodiscard]] Question ask(wire::Claim id) const;
  void looked_up(const Question& question, const std::optional<wire::Claimed>& found);
  /// A linear barrier of this node was confirmed; `committed_before`: events in the model when it was asked.
  void linear_read(SimNode& node, std::uint64_t committed_before);

  /// Looks at what was answered in this event: what was committed in it is in the model by now.
  void after();
  /// No attempt is open any more.
  void finish();

 private:
  struct Answer {
    Attempt attempt;
    wire::Outcome outcome;
  };
  struct LookUp {
    Question question;
    std::optional<wire::Claimed> found;
  };

  void check(const Answer& answer);
  void check(const LookUp& look_up);
  void check_published(const Attempt& attempt, const wire::Published& published);
  void check_event(const Attempt& attempt, const RequestEvent& event, const wire::EventResult& result);
  void check_claimed(const Attempt& attempt, const wire::Claimed& claimed);
  void check_expectation(const Attempt& attempt, const wire::Refused& refused);
  [[nodiscard]] bool is_same(const KnownId& known, const wire::Claimed& claimed) const;
  void check_refused(const Attempt& attempt, const wire::Refused& refused);
  void fail(const Request& request, const std::string& what);

  World& world_;
  Verdict& verdict_;
  const Model& model_;
  const RaftChecker& raft_;
  std::vector<std::shared_ptr<Request>> requests_;
  std::vector<Answer> answers_;
  std::vector<LookUp> look_ups_;
  std::set<std::uint64_t> told_stored_;  ///< positions that a client was told it stored itself
  std::set<std::tuple<std::string, std::string, std::string>> known_ids_;
  std::uint64_t acked_position_ = 0;
};

}  // namespace weir::sim
