// The worked examples of wire/README.md are what this build makes.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "tests/wire/samples.hpp"

namespace weir::wire::test {
namespace {

/// The bytes of each ```hex block, by the name in the comment line above it. A line is an offset, two spaces, at most
/// 16 bytes as pairs of digits; what follows a '|' is for the reader.
std::map<std::string, std::string> examples() {
  std::map<std::string, std::string> found;
  std::ifstream file("../../wire/README.md");
  std::string name;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("<!-- example ")) name = line.substr(13, line.find(" -->") - 13);
    if (line == "```hex") {
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      std::string hex;
      for (const char c : line.substr(6, line.find('|') - 6)) {
        if (c != ' ') hex += c;
      }
      found[name] += from_hex(hex);
    }
  }
  return found;
}

TEST(Readme, TheFrameIsWhatTheCodeMakes) {
  const auto vote = raft::Message{raft::NodeId{1}, raft::NodeId{2}, raft::Term{5}, 0,
                                  raft::RequestVoteReply{raft::VoteKind::vote, raft::VoteAnswer::granted}};
  EXPECT_EQ(to_hex(examples()["frame"]), to_hex(joined(encode(vote))));
  EXPECT_EQ(received(examples()["frame"]).value(), PeerMessage(vote));
}

TEST(Readme, TheEntryIsWhatTheCodeMakes) {
  PublishBuilder builder;
  builder.add({.topic = "orders", .id = "a1", .body = "hello"});
  builder.add({.topic = "orders", .id = "a2", .body = "weir"});
  const PublishView request = viewed(builder.finish().value());
  const auto stamped = merge({&request, 1}, 1'700'000'000'000);
  EXPECT_EQ(to_hex(examples()["entry"]), to_hex(stamped.view()));
}

}  // namespace
}  // namespace weir::wire::test
