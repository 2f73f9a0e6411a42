#include <algorithm>
#include <functional>

#include "wire/entry.hpp"
#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/rules.hpp"

namespace weir::wire {

raft::Bytes encode(const DigestEntry& entry) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<fbs::Report> reports;
  reports.reserve(entry.reports.size());
  for (const auto& report : entry.reports) reports.emplace_back(report.node.value, report.digest);
  builder.Finish(
      fbs::CreateDigestEntry(builder, entry.time_ms, entry.index.value, builder.CreateVectorOfStructs(reports)));
  return release(builder);
}

std::expected<DigestEntry, Error> decode_digest(const raft::Bytes& data) {
  if (data.size() > kEntryBytesMax) {
    return std::unexpected(Error{Errc::too_large, "DIGEST entry: " + std::to_string(data.size()) + " bytes"});
  }
  const auto bytes = aligned(data);
  const auto* table = verified<fbs::DigestEntry>(bytes.view(), VerifyLimits{.depth = 1, .tables = 1});
  if (table == nullptr) return malformed("DIGEST entry: not a FlatBuffer of this schema");
  Rules rules("DIGEST entry");
  rules.that(table->time_ms().has_value(), "time: present");
  rules.number(table->time_ms().value_or(0), "time: below 2^62");
  rules.that(table->index() > 0, "index: not 0");
  rules.number(table->index(), "index: below 2^62");
  const auto* reports = table->reports();
  rules.that(reports->size() > 0 && reports->size() <= kMembersMax, "reports: 1 to 64");
  rules.that(well_placed(reports->Data(), kAlignment), "reports: aligned");
  if (!rules.hold()) return rules.error();
  DigestEntry entry{.time_ms = *table->time_ms(), .index = raft::Index{table->index()}, .reports = {}};
  for (const auto* report : *reports) entry.reports.push_back({raft::NodeId{report->node()}, report->digest()});
  rules.that(entry.reports.front().node != raft::kNobody, "node: not 0");
  rules.that(std::ranges::adjacent_find(entry.reports, std::greater_equal{}, &Report::node) == entry.reports.end(),
             "reports: nodes ascending");
  if (!rules.hold()) return rules.error();
  return entry;
}

}  // namespace weir::wire
