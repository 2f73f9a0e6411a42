// What readers are given, against the model: only what is committed, in order, nothing twice, nothing skipped but what
// retention took, and that is told. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/reading.hpp"
#include "tests/sim/checkers/model.hpp"

namespace weir::sim {

class ReadChecker {
 public:
  ReadChecker(Verdict& verdict, const Model& model) : verdict_(verdict), model_(model) {}

  /// `from`: where the read began; without floors and skips. `applied`: what the node had applied in the end.
  void read(std::string reader, broker::Selector selector, const broker::ReadState& from,
            const broker::ReadBatch& batch, raft::Index applied);
  void after();

 private:
  struct Event {
    std::string topic;
    std::string id;
    std::string body;
    std::uint64_t offset = 0;
    std::uint64_t position = 0;
    std::uint64_t time_ms = 0;
  };
  struct Read {
    std::string reader;
    broker::Selector selector;
    std::uint64_t from = 0;
    std::uint64_t gap_told = 0;  ///< what was missing up to here is known to the reader
    std::optional<broker::RemovedRange> removed;
    raft::Index applied_index;
    std::uint64_t next = 0;
    std::uint64_t applied = 0;
    bool up_to_date = false;
    std::vector<Event> events;
  };

  void check(const Read& read);
  void check_gap(const Read& read);
  void fail(const Read& read, const std::string& what, std::uint64_t position);
  [[nodiscard]] bool is_missing(const Read& read, const ModelEvent& event) const;
  [[nodiscard]] static bool is_same(const Event& event, const ModelEvent& stored);

  Verdict& verdict_;
  const Model& model_;
  std::vector<Read> reads_;
};

}  // namespace weir::sim
