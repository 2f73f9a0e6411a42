// Every peer message comes back as it was sent, and one that means nonsense does not come back at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/wire/samples.hpp"

namespace weir::wire::test {
namespace {

constexpr std::uint64_t kTooHigh = raft::kNumberLimit;

TEST(PeerMessage, ComesBackAsItWasSent) {
  for (const auto& [name, message] : every_message()) {
    const auto got = round_trip(message);
    ASSERT_TRUE(got) << name << ": " << got.error().text;
    EXPECT_EQ(*got, message) << name;
  }
}

TEST(PeerMessage, EveryOutcomeComesBack) {
  for (int kind = 1; kind <= 14; ++kind) {
    const ForwardReply reply{1, 2, Refused{static_cast<RefusalKind>(kind), 0, {}, ""}};
    EXPECT_EQ(round_trip(reply).value(), PeerMessage(reply)) << kind;
  }
  for (int state = 1; state <= 3; ++state) {
    const ForwardReply reply{1, 2, Claimed{static_cast<ClaimState>(state), {}}};
    EXPECT_EQ(round_trip(reply).value(), PeerMessage(reply)) << state;
  }
  Published most;
  most.results.resize(kBatchEventsMax);
  EXPECT_TRUE(round_trip(ForwardReply{1, 2, most}));
  most.results.emplace_back();
  EXPECT_FALSE(round_trip(ForwardReply{1, 2, most}));
}

TEST(PeerMessage, LongTextsForHumansAreCutNotRefused) {
  const std::string longer(5000, 'x');
  const auto reply = round_trip(ForwardReply{1, 2, Refused{RefusalKind::no_topic, 0, {}, longer}});
  ASSERT_TRUE(reply);
  EXPECT_EQ(std::get<Refused>(std::get<ForwardReply>(*reply).outcome).detail.size(), 4096U);
  const auto welcome = round_trip(Welcome{hello(), longer});
  ASSERT_TRUE(welcome);
  EXPECT_EQ(std::get<Welcome>(*welcome).refusal.size(), 4096U);
}

TEST(PeerMessage, TermZeroIsForRepliesOnly) {
  // A node that has never heard of a term answers a pre-vote with 0.
  EXPECT_TRUE(round_trip(message(0, raft::RequestVoteReply{raft::VoteKind::pre_vote, raft::VoteAnswer::refused})));
  EXPECT_FALSE(round_trip(message(0, raft::RequestVote{})));
  EXPECT_FALSE(round_trip(message(0, raft::AppendEntries{})));
  EXPECT_FALSE(round_trip(message(0, raft::TimeoutNow{})));
}

TEST(PeerMessage, Fault040AnUnknownCommandIsPassedOn) {
  const auto sent =
      message(1, raft::AppendEntries{{}, {}, {}, {entry(1, 1, static_cast<raft::Command>(255), "?")}, {}});
  EXPECT_EQ(round_trip(sent).value(), PeerMessage(sent));
}

struct Lie {
  std::string name;
  std::function<void(raft::Message&, raft::AppendEntries&)> tell;
};

TEST(PeerMessage, Fault088LiesOfAnAppendEntriesAreRefused) {
  const std::vector<Lie> lies{
      {"term 2^62", [](auto& m, auto&) { m.term = raft::Term{kTooHigh}; }},
      {"term 2^63", [](auto& m, auto&) { m.term = raft::Term{kTooHigh * 2}; }},
      {"term max", [](auto& m, auto&) { m.term = raft::Term{~std::uint64_t{0}}; }},
      {"from nobody", [](auto& m, auto&) { m.from = raft::kNobody; }},
      {"to nobody", [](auto& m, auto&) { m.to = raft::kNobody; }},
      {"to itself", [](auto& m, auto&) { m.to = m.from; }},
      {"wall clock 2^62", [](auto& m, auto&) { m.wall_clock_ms = kTooHigh; }},
      {"prev index 2^62",
       [](auto&, auto& a) {
         a.prev_log_index = raft::Index{kTooHigh};
         a.entries.clear();
       }},
      {"prev index just below 2^62, so that its entries are above",
       [](auto&, auto& a) {
         a.prev_log_index = raft::Index{kTooHigh - 1};
         a.entries = {entry(kTooHigh, 5, raft::Command::noop, "")};
       }},
      {"prev index with term 0", [](auto&, auto& a) { a.prev_log_term = raft::Term{0}; }},
      {"prev index 0 with a term",
       [](auto&, auto& a) {
         a.prev_log_index = raft::Index{0};
         a.entries.clear();
       }},
      {"prev term above the message's", [](auto&, auto& a) { a.prev_log_term = raft::Term{6}; }},
      {"commit 2^62", [](auto&, auto& a) { a.leader_commit = raft::Index{kTooHigh}; }},
      {"read sequence 2^62", [](auto&, auto& a) { a.read_context.sequence = kTooHigh; }},
      {"a hole before the first entry", [](auto&, auto& a) { a.entries.erase(a.entries.begin()); }},
      {"a hole between entries", [](auto&, auto& a) { a.entries.erase(a.entries.begin() + 1); }},
      {"an entry twice", [](auto&, auto& a) { a.entries.push_back(a.entries.back()); }},
      {"entries backwards", [](auto&, auto& a) { std::swap(a.entries[0], a.entries[1]); }},
      {"an entry at index 0", [](auto&, auto& a) { a.entries[0].index = raft::Index{0}; }},
      {"terms that fall", [](auto&, auto& a) { a.entries[2].term = raft::Term{3}; }},
      {"a term below prev's", [](auto&, auto& a) { a.entries[0].term = raft::Term{2}; }},
      {"an entry of term 0", [](auto&, auto& a) { a.entries[0].term = raft::Term{0}; }},
      {"an entry of a later term", [](auto&, auto& a) { a.entries[2].term = raft::Term{6}; }},
      {"command 0", [](auto&, auto& a) { a.entries[1] = entry(11, 4, raft::Command{0}, "x"); }},
      {"a noop with data", [](auto&, auto& a) { a.entries[0].data = raft::Bytes::copy_of("x"); }},
      {"a noop with a checksum", [](auto&, auto& a) { a.entries[0].checksum = 1; }},
      {"another checksum", [](auto&, auto& a) { a.entries[1].checksum ^= 1U; }},
      {"the checksum of another command", [](auto&, auto& a) { a.entries[1].command = raft::Command::dedup; }},
  };
  const auto honest = std::get<raft::Message>(every_message().at("append-entries"));
  for (const auto& lie : lies) {
    raft::Message told = honest;
    lie.tell(told, std::get<raft::AppendEntries>(told.body));
    EXPECT_FALSE(round_trip(told)) << lie.name;
  }
}

TEST(PeerMessage, Fault088ACommitBeyondTheEntriesIsForRaftToBound) {
  // Figure 2: "set commitIndex = min(leaderCommit, index of last new entry)": legal on the wire.
  EXPECT_TRUE(round_trip(message(1, raft::AppendEntries{{}, {}, raft::Index{1000}, {}, {}})));
}

TEST(PeerMessage, Fault088LiesOfAnInstallSnapshotAreRefused) {
  const std::map<std::string, std::function<void(raft::InstallSnapshot&)>> lies{
      {"index 0", [](auto& i) { i.snapshot.index = raft::Index{0}; }},
      {"index 2^62", [](auto& i) { i.snapshot.index = raft::Index{kTooHigh}; }},
      {"term 0", [](auto& i) { i.snapshot.term = raft::Term{0}; }},
      {"term above the message's", [](auto& i) { i.snapshot.term = raft::Term{6}; }},
      {"size 2^62", [](auto& i) { i.snapshot.size = kTooHigh; }},
      {"a piece beyond the end", [](auto& i) { i.snapshot.size = i.offset + i.data.size() - 1; }},
      {"an offset beyond the end", [](auto& i) { i.offset = i.snapshot.size + 1; }},
      {"a piece without bytes", [](auto& i) { i.data = {}; }},
      {"a config at index 0", [](auto& i) { i.snapshot.config.index = raft::Index{0}; }},
      {"a config above the snapshot", [](auto& i) { i.snapshot.config.index = raft::Index{91}; }},
      {"a config of term 0", [](auto& i) { i.snapshot.config.term = raft::Term{0}; }},
      {"a config of a later term", [](auto& i) { i.snapshot.config.term = raft::Term{5}; }},
      {"a config that is an event", [](auto& i) { i.snapshot.config = entry(8, 2, raft::Command::publish, "x"); }},
      {"another checksum of the config", [](auto& i) { i.snapshot.config.checksum ^= 1U; }},
  };
  for (const auto& [name, lie] : lies) {
    raft::InstallSnapshot told = install_snapshot();
    lie(told);
    EXPECT_FALSE(round_trip(message(5, told))) << name;
  }
  EXPECT_FALSE(round_trip(message(5, raft::InstallSnapshotReply{raft::InstallAnswer{3}, raft::Index{1}, 1, 1})));
  EXPECT_FALSE(
      round_trip(message(5, raft::InstallSnapshotReply{raft::InstallAnswer::more, raft::Index{kTooHigh}, 1, 1})));
  EXPECT_FALSE(
      round_trip(message(5, raft::InstallSnapshotReply{raft::InstallAnswer::more, raft::Index{1}, 1, kTooHigh})));
}

TEST(PeerMessage, Fault088LiesOfOtherRaftMessagesAreRefused) {
  using raft::AppendAnswer, raft::Index, raft::Term, raft::VoteAnswer, raft::VoteKind;
  const std::map<std::string, decltype(raft::Message::body)> lies{
      {"vote of kind 0", raft::RequestVote{VoteKind{0}, Index{1}, Term{1}}},
      {"vote of kind 4", raft::RequestVote{VoteKind{4}, Index{1}, Term{1}}},
      {"last index 2^62", raft::RequestVote{VoteKind::vote, Index{kTooHigh}, Term{1}}},
      {"last term above the message's", raft::RequestVote{VoteKind::vote, Index{1}, Term{6}}},
      {"last index without a term", raft::RequestVote{VoteKind::vote, Index{1}, Term{0}}},
      {"last term without an index", raft::RequestVote{VoteKind::vote, Index{0}, Term{1}}},
      {"vote reply of kind 0", raft::RequestVoteReply{VoteKind{0}, VoteAnswer::granted}},
      {"vote answer 0", raft::RequestVoteReply{VoteKind::vote, VoteAnswer{0}}},
      {"vote answer 3", raft::RequestVoteReply{VoteKind::vote, VoteAnswer{3}}},
      {"append answer 0", raft::AppendEntriesReply{AppendAnswer{0}, Index{1}, {}, {}, {}}},
      {"append answer 3", raft::AppendEntriesReply{AppendAnswer{3}, Index{1}, {}, {}, {}}},
      {"match index 2^62", raft::AppendEntriesReply{AppendAnswer::matched, Index{kTooHigh}, {}, {}, {}}},
      {"conflict term above", raft::AppendEntriesReply{AppendAnswer::conflict, {}, Term{6}, Index{1}, {}}},
      {"conflict index 2^62", raft::AppendEntriesReply{AppendAnswer::conflict, {}, {}, Index{kTooHigh}, {}}},
      {"read sequence 2^62", raft::ReadIndexRequest{{raft::NodeId{1}, 1, kTooHigh}}},
      {"read index 2^62", raft::ReadIndexReply{{raft::NodeId{1}, 1, 1}, Index{kTooHigh}}},
  };
  for (const auto& [name, lie] : lies) EXPECT_FALSE(round_trip(message(5, lie))) << name;
}

TEST(PeerMessage, Fault088LiesAboutTheStateAreRefused) {
  const auto refused = [](auto tell) {
    auto told = message(5, raft::AppendEntriesReply{raft::AppendAnswer::matched, raft::Index{1}, {}, {}, {}});
    tell(told);
    return !round_trip(told);
  };
  EXPECT_FALSE(refused([](auto& m) { m.report = raft::StateReport{raft::Index{1}, 0}; }));
  EXPECT_TRUE(refused([](auto& m) { m.report = raft::StateReport{raft::Index{}, 1}; }));
  EXPECT_TRUE(refused([](auto& m) { m.report = raft::StateReport{raft::Index{kTooHigh}, 1}; }));
  EXPECT_TRUE(refused([](auto& m) { m.report_wanted = raft::Index{kTooHigh}; }));
}

TEST(PeerMessage, Fault088LiesOfAHelloAreRefused) {
  const std::map<std::string, std::function<void(Hello&)>> lies{
      {"no version", [](auto& h) { h.version_min = 0; }},
      {"versions backwards", [](auto& h) { h.version_min = 3; }},
      {"no name", [](auto& h) { h.node = ""; }},
      {"a long name",
       [](auto& h) {
         h.node = std::string(33, 'n');
         h.members = {h.node};
       }},
      {"an upper case name",
       [](auto& h) {
         h.node = "N1";
         h.members = {"N1"};
       }},
      {"a name with a path",
       [](auto& h) {
         h.node = "../n1";
         h.members = {h.node};
       }},
      {"not among its members", [](auto& h) { h.members = {"n2", "n3"}; }},
      {"a term of 2^62", [](auto& h) { h.started_term = raft::Term{kTooHigh}; }},
      {"an index of 2^62", [](auto& h) { h.started_index = raft::Index{kTooHigh}; }},
      {"no members", [](auto& h) { h.members = {}; }},
      {"members not sorted", [](auto& h) { h.members = {"n2", "n1"}; }},
      {"a member twice", [](auto& h) { h.members = {"n1", "n1"}; }},
      {"a member's name not allowed", [](auto& h) { h.members = {"n 0", "n1"}; }},
      {"too many members",
       [](auto& h) {
         h.members.clear();
         for (int n = 100; n < 165; ++n) h.members.push_back("n" + std::to_string(n));
         h.node = "n100";
       }},
      {"a long address", [](auto& h) { h.raft_address = std::string(256, 'a'); }},
      {"an address with a line break", [](auto& h) { h.http_address = "a:1\nforged log line"; }},
      {"a long cluster id", [](auto& h) { h.cluster_id = std::string(65, 'c'); }},
      {"a cluster id with an escape code", [](auto& h) { h.cluster_id = "\x1b[2J"; }},
  };
  for (const auto& [name, tell] : lies) {
    Hello told = hello();
    tell(told);
    EXPECT_FALSE(round_trip(told)) << name;
    EXPECT_FALSE(round_trip(Welcome{told, ""})) << name;
  }
}

TEST(PeerMessage, TheLargestHelloFitsTheHandshake) {
  Hello largest = hello();
  largest.cluster_id = std::string(64, 'c');
  largest.raft_address = largest.http_address = std::string(255, 'a');
  largest.members.clear();
  for (int n = 10; n < 74; ++n) largest.members.push_back(std::string(30, 'n') + std::to_string(n));
  largest.node = largest.members.front();
  const std::string bytes = joined(encode(Welcome{largest, std::string(4096, 'r')}));
  EXPECT_TRUE(decode_header(bytes, kHandshakeBytesMax));
  EXPECT_TRUE(received(bytes));
}

TEST(PeerMessage, AnEmptyNodeSaysHelloWithoutAClusterId) {
  Hello empty = hello();
  empty.cluster_id = "";
  EXPECT_EQ(round_trip(empty).value(), PeerMessage(empty));
}

TEST(PeerMessage, Fault088LiesOfAForwardAreRefused) {
  for (const int command : {0, 1, 6, 7, 8, 10, 255}) {
    EXPECT_FALSE(round_trip(Forward{1, 1, static_cast<raft::Command>(command), 100, raft::Bytes::copy_of("x")}))
        << command;
  }
  const auto largest = raft::Bytes::own(std::string(kEntryBytesMax, 'x'));
  EXPECT_TRUE(round_trip(Forward{1, 1, raft::Command::publish, 100, largest}));
  const auto larger = raft::Bytes::own(std::string(kEntryBytesMax + 1, 'x'));
  EXPECT_FALSE(round_trip(Forward{1, 1, raft::Command::publish, 100, larger}));
}

TEST(PeerMessage, ATopicThatRemembersForeverComesBackAsOne) {
  TopicChanged told;
  told.settings.dedup_ms = {Setting::Kind::forever, 0};
  const ForwardReply reply{1, 2, told};
  EXPECT_EQ(round_trip(reply).value(), PeerMessage(reply));
}

TEST(PeerMessage, Fault088LiesOfAForwardReplyAreRefused) {
  const EventResult honest{raft::Offset{1}, raft::Position{2}, 3, Storing::stored};
  const auto result = [&](auto change) {
    EventResult changed = honest;
    change(changed);
    return changed;
  };
  const auto changed = [](auto change) {
    TopicChanged told;
    change(told);
    return told;
  };
  const auto group = [](auto change) {
    GroupChanged told;
    change(told);
    return told;
  };
  const std::map<std::string, Outcome> lies{
      {"offset 2^62", Published{{result([](auto& r) { r.offset = raft::Offset{kTooHigh}; })}}},
      {"position 2^62", Published{{honest, result([](auto& r) { r.position = raft::Position{kTooHigh}; })}}},
      {"time 2^62", Published{{result([](auto& r) { r.time_ms = kTooHigh; })}}},
      {"storing 0", Published{{result([](auto& r) { r.storing = Storing{0}; })}}},
      {"storing 3", Claimed{ClaimState::claimed_now, result([](auto& r) { r.storing = Storing{3}; })}},
      {"claim state 0", Claimed{ClaimState{0}, honest}},
      {"claim state 4", Claimed{ClaimState{4}, honest}},
      {"refusal 0", Refused{RefusalKind{0}, 0, {}, ""}},
      {"refusal 19", Refused{RefusalKind{19}, 0, {}, ""}},
      {"refusal's offset 2^62", Refused{RefusalKind::id_reuse, 0, raft::Offset{kTooHigh}, ""}},
      {"a topic's what 0", changed([](auto& c) { c.what = TopicWhat{0}; })},
      {"a topic's what 5", changed([](auto& c) { c.what = TopicWhat{5}; })},
      {"a topic's kept setting", changed([](auto& c) { c.settings.age_ms.kind = Setting::Kind::keep; })},
      {"a topic's value 0", changed([](auto& c) { c.settings.count.kind = Setting::Kind::value; })},
      {"a topic's count forever", changed([](auto& c) { c.settings.count.kind = Setting::Kind::forever; })},
      {"a topic's offset 2^62", changed([](auto& c) { c.next_offset = raft::Offset{kTooHigh}; })},
      {"a topic's bytes 2^62", changed([](auto& c) { c.bytes = kTooHigh; })},
      {"a group's what 0", group([](auto& g) { g.what = GroupWhat{0}; })},
      {"a group's what 7", group([](auto& g) { g.what = GroupWhat{7}; })},
      {"a group's cursor 2^62", group([](auto& g) { g.committed = raft::Position{kTooHigh}; })},
      {"a group's generation 2^62", group([](auto& g) { g.generation = kTooHigh; })},
      {"a group's lease 2^62", group([](auto& g) { g.lease = kTooHigh; })},
      {"a lease's end 2^62", group([](auto& g) { g.expires_ms = kTooHigh; })},
  };
  for (const auto& [name, lie] : lies) EXPECT_FALSE(round_trip(ForwardReply{1, 2, lie})) << name;
}

}  // namespace
}  // namespace weir::wire::test
