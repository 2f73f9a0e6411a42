// A Node as one of three members (or alone), with a disk, a network and a clock in the test's hands, and peers that do
// as Raft asks them. One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/core/node.hpp"
#include "tests/core/fakes.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {

inline const std::vector<std::string> kThree{"n1", "n2", "n3"};

/// n1 has incarnation 1, and so on.
[[nodiscard]] wire::ConfigEntry config_of(const std::vector<std::string>& names, const std::string& cluster_id = "c");
[[nodiscard]] wire::Hello hello_of(const std::string& name, const std::string& cluster_id, std::uint64_t incarnation,
                                   const std::vector<std::string>& members = kThree);
[[nodiscard]] raft::NodeId id_of(const std::string& name);

class NodeFixture {
 public:
  /// A member of a cluster of these names, the first of them, with CONFIG in its log.
  explicit NodeFixture(std::vector<std::string> names = kThree);

  /// An empty node of that name instead.
  void make_empty(const std::string& name, std::uint64_t incarnation);
  /// One that is empty because what it had was damaged.
  void make_damaged(const std::string& name, std::uint64_t incarnation);
  /// The same member, once more over what its disk has; as `adapt` says.
  void restart();
  /// start(), and all peers connected as members.
  void join();
  /// Ticks until this node leads, with the votes of n2 and n3, and its NOOP is committed.
  void lead();
  /// Writes reach the disk and the peers in `obedient` answer what they are asked, until nothing moves any more.
  void settle();
  void tick(int count = 1);
  /// From `from`, in its current incarnation.
  void receive(const std::string& from, raft::Term term, decltype(raft::Message::body) body);
  /// An AppendEntries of n2 as the leader of `term`, with one NOOP of that term behind (prev_index, prev_term).
  void follow(raft::Term term, std::uint64_t prev_index, std::uint64_t prev_term);
  /// The outcome is put into `outcomes`, as text_of says it, at the returned place; "" until it comes.
  std::size_t publish(const Request& request, std::uint32_t timeout_ms = 1'000);

  FakeDisk disk;
  FakeNetwork network;
  FakeClock clock;
  std::vector<std::string> names;
  std::set<std::string> obedient{"n2", "n3"};
  /// What these peers say of their state in every reply; the others say nothing.
  std::map<std::string, raft::StateReport> reports;
  std::vector<std::string> outcomes;
  std::vector<std::string> notices;
  std::vector<std::string> damages;                          ///< that the node told of
  std::vector<std::pair<std::string, raft::Entry>> founded;  ///< what the founding was asked for
  std::vector<Disk::WriteDone> founding;
  /// Has the last word on how the next node is configured.
  std::function<void(NodeConfig&)> adapt = [](NodeConfig&) {};
  /// NodeEvents::unsettled of the next node.
  std::function<void()> unsettled;
  std::unique_ptr<Node> node;

 private:
  void make(storage::Identity identity, raft::Recovered recovered);
  [[nodiscard]] bool answer_peers();
};

}  // namespace weir::broker::test
