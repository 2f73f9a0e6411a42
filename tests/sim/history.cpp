#include "tests/sim/history.hpp"

#include <array>
#include <cstdio>
#include <utility>

namespace weir::sim {
namespace {

using Field = std::pair<const char*, std::uint64_t Coverage::*>;

constexpr std::array kFields{Field{"elections", &Coverage::elections},
                             Field{"truncations", &Coverage::truncations},
                             Field{"crashes", &Coverage::crashes},
                             Field{"crashes of leaders", &Coverage::leader_crashes},
                             Field{"short reigns", &Coverage::short_reigns},
                             Field{"torn writes", &Coverage::torn_writes},
                             Field{"partitions", &Coverage::partitions},
                             Field{"isolated leaders", &Coverage::isolated_leaders},
                             Field{"bridges", &Coverage::bridges},
                             Field{"one-way cuts", &Coverage::one_way_cuts},
                             Field{"messages lost", &Coverage::messages_lost},
                             Field{"messages doubled", &Coverage::messages_doubled},
                             Field{"messages overtaken", &Coverage::messages_overtaken},
                             Field{"checkpoints", &Coverage::checkpoints},
                             Field{"ids moved", &Coverage::id_moves},
                             Field{"failed moves", &Coverage::failed_id_moves},
                             Field{"ids found in runs", &Coverage::ids_in_runs},
                             Field{"failed saves", &Coverage::failed_saves},
                             Field{"log drops", &Coverage::log_drops},
                             Field{"files rewritten", &Coverage::files_rewritten},
                             Field{"hollow entries read", &Coverage::hollow_reads},
                             Field{"snapshot pieces", &Coverage::snapshot_pieces},
                             Field{"snapshots refused", &Coverage::snapshots_refused},
                             Field{"snapshots installed", &Coverage::snapshots_installed},
                             Field{"crashes in snapshots", &Coverage::snapshot_crashes},
                             Field{"starts from checkpoints", &Coverage::starts_from_checkpoints},
                             Field{"digests compared", &Coverage::digests_compared},
                             Field{"adds", &Coverage::adds},
                             Field{"promotes", &Coverage::promotes},
                             Field{"removals", &Coverage::removals},
                             Field{"leaders removed", &Coverage::leader_removals},
                             Field{"refused changes", &Coverage::refused_changes},
                             Field{"transfers", &Coverage::transfers},
                             Field{"configurations cut off", &Coverage::configs_cut_off},
                             Field{"wipes", &Coverage::wipes},
                             Field{"readmissions", &Coverage::readmissions},
                             Field{"drains", &Coverage::drains},
                             Field{"pauses", &Coverage::pauses},
                             Field{"stalls", &Coverage::stalls},
                             Field{"full disks", &Coverage::full_disks},
                             Field{"disk errors", &Coverage::disk_errors},
                             Field{"clock jumps", &Coverage::clock_jumps},
                             Field{"stored", &Coverage::stored},
                             Field{"duplicates", &Coverage::duplicates},
                             Field{"ids that outlived their events", &Coverage::outlived},
                             Field{"unknown outcomes", &Coverage::unknown_outcomes},
                             Field{"refusals", &Coverage::refusals},
                             Field{"id reuses", &Coverage::id_reuses},
                             Field{"failed expectations", &Coverage::failed_expectations},
                             Field{"claims", &Coverage::claims},
                             Field{"events read", &Coverage::events_read},
                             Field{"floors raised", &Coverage::floors_raised},
                             Field{"gaps told", &Coverage::gaps_told},
                             Field{"reader moves", &Coverage::reader_moves},
                             Field{"linear look-ups", &Coverage::linear_lookups},
                             Field{"linear reads", &Coverage::linear_reads},
                             Field{"leases", &Coverage::leases},
                             Field{"leases lost", &Coverage::leases_lost},
                             Field{"commits", &Coverage::commits}};

}  // namespace

Coverage& Coverage::operator+=(const Coverage& other) {
  for (const auto& [name, field] : kFields) {
    this->*field += other.*field;
  }
  return *this;
}

std::string Coverage::text() const {
  std::string text;
  for (const auto& [name, field] : kFields) {
    text += (text.empty() ? "" : ", ") + std::string(name) + " " + std::to_string(this->*field);
  }
  return text;
}

std::string Coverage::missing() const {
  for (const auto& [name, field] : kFields) {
    if (this->*field == 0) {
      return name;
    }
  }
  return {};
}

/// FNV-1a over whole words, with a shift so that high bits count too.
void History::mix(std::uint64_t word) {
  hash_ = (hash_ ^ word) * 0x100000001b3U;
  hash_ ^= hash_ >> 29U;
}

void History::note(std::string_view kind, std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
  mix(timeline_.now_us());
  for (const char letter : kind) {
    mix(static_cast<unsigned char>(letter));
  }
  for (const std::uint64_t word : {a, b, c, d}) {
    mix(word);
  }
}

void History::print(const std::string& text) const {
  const auto now = static_cast<double>(timeline_.now_us()) / static_cast<double>(kSecond);
  std::printf("%10.6f %s\n", now, text.c_str());
}

}  // namespace weir::sim
