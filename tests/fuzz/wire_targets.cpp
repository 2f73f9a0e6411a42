#include <algorithm>

#include "tests/fuzz/targets.hpp"
#include "tests/wire/samples.hpp"
#include "wire/entry.hpp"
#include "wire/peer_message.hpp"

namespace weir::fuzz {
namespace {

namespace test = wire::test;

/// A fuzzer does not guess checksums: they are made right, so that it gets past them.
std::string with_right_checksum(std::string_view bytes) {
  if (bytes.size() < wire::kFrameHeaderBytes) return std::string(bytes);
  const auto header = wire::decode_header(bytes, wire::kFrameBytesMax);
  return header ? test::framed(header->type, bytes.substr(wire::kFrameHeaderBytes)) : std::string(bytes);
}

}  // namespace

void run_peer_frame(std::string_view bytes) {
  const std::string frame = with_right_checksum(bytes);
  const auto message = test::received(frame);
  if (!message) return;
  const auto again = test::round_trip(*message);
  promise(again.has_value(), "what was decoded is encoded to a frame that decodes");
  promise(*again == *message, "and to the same message");
}

std::vector<std::string> peer_frame_seeds() {
  std::vector<std::string> seeds;
  for (const auto& [name, message] : test::every_message()) seeds.push_back(test::joined(wire::encode(message)));
  return seeds;
}

void run_publish_entry(std::string_view bytes) {
  const auto view = wire::PublishView::verify(test::tight(bytes));
  if (!view) return;
  const auto requests = test::copy_of(*view);
  promise(requests.size() == view->request_count(), "every request can be read");
  if (view->merged_bytes_max() > wire::kEntryBytesMax / 2) return;
  const std::vector<wire::PublishView> twice{*view, *view};
  const auto merged = wire::PublishView::verify(wire::merge(twice, 1));
  promise(merged.has_value(), "what was merged verifies");
  auto expected = requests;
  expected.insert(expected.end(), requests.begin(), requests.end());
  promise(test::copy_of(*merged) == expected, "merging keeps every byte");
}

std::vector<std::string> publish_entry_seeds() {
  std::vector<std::string> seeds{std::string(test::built(test::full_request()).view()),
                                 std::string(test::honest_entry().build().view())};
  std::mt19937_64 random(1);
  for (int i = 0; i < 20; ++i) seeds.emplace_back(test::built(test::random_request(random)).view());
  return seeds;
}

void run_small_entries(std::string_view bytes) {
  if (const auto claims = wire::decode_dedup(test::tight(bytes))) {
    const auto again = wire::decode_dedup(wire::encode(*claims));
    promise(again && *again == *claims, "a DEDUP entry survives encoding");
  }
  if (const auto changes = wire::decode_topic(test::tight(bytes))) {
    const auto again = wire::decode_topic(wire::encode(*changes));
    promise(again && *again == *changes, "a TOPIC entry survives encoding");
  }
  if (const auto changes = wire::decode_group(test::tight(bytes))) {
    const auto again = wire::decode_group(wire::encode(*changes));
    promise(again && *again == *changes, "a GROUP entry survives encoding");
  }
  if (const auto digest = wire::decode_digest(test::tight(bytes))) {
    const auto again = wire::decode_digest(wire::encode(*digest));
    promise(again && *again == *digest, "a DIGEST entry survives encoding");
  }
  if (const auto config = wire::decode_config(test::tight(bytes))) {
    const auto again = wire::decode_config(wire::encode(*config));
    promise(again && *again == *config, "a CONFIG entry survives encoding");
  }
}

std::vector<std::string> small_entries_seeds() {
  const wire::DedupEntry claims{.time_ms = 7, .claims = {{"orders/new", "", "12345"}, {"a", "urn:x", "id"}}};
  const wire::ConfigEntry config{.cluster_id = "c7",
                                 .epoch = "eabcdefgh",
                                 .members = {{wire::node_id("n1"), "n1", "127.0.0.1:7401", "127.0.0.1:7400", 11},
                                             {wire::node_id("n2"), "n2", "127.0.0.1:7403", "127.0.0.1:7402", 12}}};
  const wire::DigestEntry digest{
      .time_ms = 7, .index = raft::Index{9}, .reports = {{raft::NodeId{1}, 5}, {raft::NodeId{2}, 6}}};
  const wire::TopicEntry changes{
      .time_ms = 7,
      .changes = {{"orders/new", wire::TopicAction::change, {{wire::Setting::Kind::value, 60'000}, {}, {}, {}}}}};
  const wire::GroupEntry groups{
      .time_ms = 7,
      .changes = {{.group = "billing", .action = wire::GroupAction::create, .patterns = {"orders/**"}},
                  {.group = "billing", .action = wire::GroupAction::commit, .to = raft::Position{9}, .lease = 7}}};
  return {std::string(wire::encode(changes).view()), std::string(wire::encode(claims).view()),
          std::string(wire::encode(groups).view()), std::string(wire::encode(config).view()),
          std::string(wire::encode(digest).view())};
}

}  // namespace weir::fuzz
