// FAULTS 44, 62. A digest tells apart whatever apply decides, survives a checkpoint, and what most voters hold is
// right.
#include "broker/core/digest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "broker/core/digest_reports.hpp"
#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

[[nodiscard]] Request one(const std::string& id) {
  return {.events = {{.id = id, .body = "body of " + id}}};
}

TEST(Digest, IsTheSameForTheSameLogAndChangesWithEveryEntry) {
  Applying a;
  Applying b;
  std::set<std::uint64_t> seen;
  for (const std::string id : {"x", "y", "x", "z"}) {
    a.publish({one(id)});
    b.publish({one(id)});
    EXPECT_EQ(a.digest.value(), b.digest.value()) << id;
    EXPECT_TRUE(seen.insert(a.digest.value()).second) << id;
  }
  EXPECT_EQ(a.digest.index(), raft::Index{4});
}

/// The state after "x"; what the next entry does is told to the digest with one lie in it.
[[nodiscard]] std::uint64_t told(const std::function<void(DecodedEntry&, Applied&)>& lie) {
  Applying machine;
  machine.publish({one("x")});
  Digest digest = machine.digest;
  Applied applied = machine.publish({one("x"), one("y"), {.events = {{.id = "x", .body = "other"}}}});
  DecodedEntry entry = *decoded(machine.log.back());
  lie(entry, applied);
  digest.applied(entry, applied, machine.state);
  return digest.value();
}

TEST(Digest, Fault062SeesEveryDecision) {
  const auto result = [](Applied& applied, std::size_t request) -> wire::EventResult& {
    return std::get<wire::Published>(applied.outcomes.at(request)).results.at(0);
  };
  const std::vector<std::function<void(DecodedEntry&, Applied&)>> lies{
      [](auto&, auto&) {},
      [](auto& entry, auto&) { entry.term = entry.term.next(); },
      [](auto& entry, auto&) { entry.command = raft::Command::noop; },
      [](auto& entry, auto&) { ++entry.checksum; },
      [&](auto&, auto& applied) { result(applied, 0).offset = result(applied, 0).offset.next(); },
      [&](auto&, auto& applied) { result(applied, 0).position = result(applied, 0).position.next(); },
      [&](auto&, auto& applied) { ++result(applied, 0).time_ms; },
      [&](auto&, auto& applied) { result(applied, 0).storing = wire::Storing::stored; },
      [&](auto&, auto& applied) { result(applied, 1).storing = wire::Storing::duplicate; },
      [](auto&, auto& applied) { applied.outcomes.pop_back(); },
      [](auto&, auto& applied) { std::get<wire::Refused>(applied.outcomes[2]).kind = wire::RefusalKind::id_claimed; },
      [](auto&, auto& applied) { ++std::get<wire::Refused>(applied.outcomes[2]).event; },
      [](auto&, auto& applied) { std::get<wire::Refused>(applied.outcomes[2]).offset = raft::Offset{9}; },
      [](auto&, auto& applied) { applied.outcomes[2] = wire::Claimed{}; }};
  std::set<std::uint64_t> seen;
  for (std::size_t i = 0; i < lies.size(); ++i) {
    EXPECT_TRUE(seen.insert(told(lies[i])).second) << "lie " << i << " is not seen";
  }
  const auto reworded = [](auto&, auto& applied) { std::get<wire::Refused>(applied.outcomes[2]).detail = "no"; };
  EXPECT_TRUE(seen.contains(told(reworded))) << "texts may differ between versions";
}

TEST(Digest, LeavesMarksWhereAllDoAndWhereItIsAsked) {
  Applying machine;
  machine.digest = Digest(4);
  const auto publish = [&](int count) {
    for (int i = 0; i < count; ++i) {
      machine.publish({one(std::to_string(machine.log.size()))});
    }
  };
  publish(3);
  EXPECT_EQ(machine.digest.report(), std::nullopt);
  publish(2);
  EXPECT_EQ(machine.digest.report()->index, raft::Index{4});
  EXPECT_EQ(machine.digest.at(raft::Index{4}), machine.digest.report()->digest);
  EXPECT_EQ(machine.digest.at(raft::Index{5}), std::nullopt);
  machine.digest.want(raft::Index{5});
  EXPECT_EQ(machine.digest.at(raft::Index{5}), machine.digest.value()) << "what is asked for is here: at once";
  machine.digest.want(raft::Index{7});
  publish(4);
  EXPECT_EQ(machine.digest.report()->index, raft::Index{7}) << "what is wanted goes before the newest";
  machine.digest.want({});
  EXPECT_EQ(machine.digest.report()->index, raft::Index{8});
  publish(4 * 100);
  EXPECT_EQ(machine.digest.marks().size(), kDigestMarksMax);
}

TEST(Digest, ComesBackFromACheckpoint) {
  Applying machine;
  machine.digest = Digest(2);
  for (const std::string id : {"a", "b", "c", "d", "e"}) {
    machine.publish({one(id)});
  }
  const wire::DigestEntry dispute{
      .time_ms = 1, .index = raft::Index{2}, .reports = {{raft::NodeId{1}, 1}, {raft::NodeId{2}, 2}}};
  machine.digest.compared(dispute, Digest::Outcome::open);
  const std::string saved = machine.digest.save();
  Digest digest(2);
  ASSERT_TRUE(digest.restore(saved));
  EXPECT_EQ(digest.value(), machine.digest.value());
  EXPECT_EQ(digest.compared_index(), raft::Index{2});
  EXPECT_EQ(digest.dispute(), dispute);
  EXPECT_EQ(digest.marks(), machine.digest.marks());
  EXPECT_EQ(digest.save(), saved);
  machine.digest.compared(dispute, Digest::Outcome::settled);
  const std::string settled = machine.digest.save();
  for (std::size_t size = 0; size < saved.size(); ++size) {
    Digest cut(2);
    EXPECT_EQ(cut.restore(std::string_view(saved).substr(0, size)).has_value(), size == settled.size()) << size;
  }
}

[[nodiscard]] std::vector<wire::Report> reports_of(const std::vector<std::pair<std::string, std::uint64_t>>& said) {
  std::vector<wire::Report> reports;
  for (const auto& [name, digest] : said) {
    reports.push_back({.node = id_of(name), .digest = digest});
  }
  return reports;
}

TEST(Comparison, MostVotersAreRight) {
  wire::ConfigEntry config = config_of({"n1", "n2", "n3", "n4"});
  config.members[3].kind = wire::MemberKind::learner;
  const auto all = compare(reports_of({{"n1", 7}, {"n2", 7}, {"n3", 7}}), config);
  EXPECT_EQ(all.right, 7U);
  EXPECT_THAT(all.wrong, IsEmpty());
  const auto odd = compare(reports_of({{"n1", 6}, {"n2", 7}, {"n3", 7}, {"n4", 6}}), config);
  EXPECT_EQ(odd.right, 7U);
  EXPECT_THAT(odd.wrong, ElementsAre(id_of("n1"), id_of("n4"))) << "learners can be wrong, and never right";
  EXPECT_FALSE(odd.open);
  const auto two = compare(reports_of({{"n1", 7}, {"n2", 7}}), config);
  EXPECT_EQ(two.right, 7U);
  const auto none = compare(reports_of({{"n1", 5}, {"n2", 6}, {"n3", 7}, {"n4", 7}}), config);
  EXPECT_EQ(none.right, std::nullopt);
  EXPECT_TRUE(none.open);
  EXPECT_THAT(none.wrong, IsEmpty());
  const auto early = compare(reports_of({{"n1", 5}, {"n2", 6}}), config);
  EXPECT_EQ(early.right, std::nullopt);
  EXPECT_FALSE(early.open) << "n3 decides, when it is heard";
}

TEST(Comparison, HalfOfFourIsNoMajority) {
  const auto split =
      compare(reports_of({{"n1", 5}, {"n2", 5}, {"n3", 7}, {"n4", 7}}), config_of({"n1", "n2", "n3", "n4"}));
  EXPECT_EQ(split.right, std::nullopt);
  EXPECT_TRUE(split.open);
}

TEST(HeardReports, KeepTheLatestFewOfEachAndTheLastWordOnEach) {
  HeardReports heard;
  const raft::NodeId n2 = id_of("n2");
  for (std::uint64_t i = 1; i <= kDigestMarksMax + 1; ++i) {
    heard.hear(n2, {.index = raft::Index{i}, .digest = i});
  }
  EXPECT_EQ(heard.at(n2, raft::Index{1}), std::nullopt);
  EXPECT_EQ(heard.at(n2, raft::Index{2}), 2U);
  heard.hear(n2, {.index = raft::Index{2}, .digest = 22});
  EXPECT_EQ(heard.at(n2, raft::Index{2}), 22U);
  EXPECT_EQ(heard.at(id_of("n3"), raft::Index{2}), std::nullopt);
}

}  // namespace
}  // namespace weir::broker::test
