#include "broker/core/digest_reports.hpp"

#include <algorithm>
#include <set>

#include "broker/core/digest.hpp"

namespace weir::broker {

Comparison compare(const std::vector<wire::Report>& reports, const wire::ConfigEntry& config) {
  std::set<raft::NodeId> voters;
  for (const auto& member : config.members) {
    if (member.kind == wire::MemberKind::voter) {
      voters.insert(member.node);
    }
  }
  std::map<std::uint64_t, std::size_t> holders;
  std::size_t reported = 0;
  for (const auto& report : reports) {
    if (voters.contains(report.node)) {
      ++holders[report.digest];
      ++reported;
    }
  }
  Comparison comparison;
  for (const auto& [digest, count] : holders) {
    if (count * 2 > voters.size()) {
      comparison.right = digest;
    }
  }
  comparison.open = !comparison.right && reported == voters.size();
  for (const auto& report : reports) {
    if (comparison.right && report.digest != *comparison.right) {
      comparison.wrong.push_back(report.node);
    }
  }
  return comparison;
}

void HeardReports::hear(raft::NodeId node, const raft::StateReport& report) {
  auto& heard = heard_[node];
  // Late messages may say again what was said.
  std::erase_if(heard, [&report](const raft::StateReport& one) { return one.index == report.index; });
  heard.push_back(report);
  if (heard.size() > kDigestMarksMax) {
    heard.pop_front();
  }
}

void HeardReports::forget(raft::Index index) {
  for (auto& [node, heard] : heard_) {
    std::erase_if(heard, [index](const raft::StateReport& one) { return one.index == index; });
  }
}

std::optional<std::uint64_t> HeardReports::at(raft::NodeId node, raft::Index index) const {
  const auto place = heard_.find(node);
  if (place == heard_.end()) {
    return std::nullopt;
  }
  const auto report = std::ranges::find(place->second, index, &raft::StateReport::index);
  return report == place->second.end() ? std::nullopt : std::optional(report->digest);
}

std::vector<wire::Report> HeardReports::as_of(raft::Index index, const wire::ConfigEntry& config) const {
  std::vector<wire::Report> reports;
  for (const auto& member : config.members) {
    if (const auto digest = at(member.node, index)) {
      reports.push_back({.node = member.node, .digest = *digest});
    }
  }
  std::ranges::sort(reports, {}, &wire::Report::node);
  return reports;
}

}  // namespace weir::broker
