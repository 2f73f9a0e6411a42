// Bytes that nobody honest would write. An entry's own checksum stands outside of its data, so its decoders are met
// here without one: whatever they are given, they refuse it or show something that is inside it. Run under a sanitizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "tests/wire/samples.hpp"

namespace weir::wire::test {
namespace {

using Decoder = std::function<void(const raft::Bytes&)>;

/// Reads everything there is to read; and what verifies must merge into something that verifies.
void try_publish(const raft::Bytes& data) {
  const auto view = PublishView::verify(data);
  if (!view) return;
  const auto requests = copy_of(*view);
  const std::vector<PublishView> both{*view, *view};
  auto merged = PublishView::verify(merge(both, 1));
  ASSERT_TRUE(merged) << merged.error().text;
  auto expected = requests;
  expected.insert(expected.end(), requests.begin(), requests.end());
  ASSERT_EQ(copy_of(*merged), expected);
}

void try_dedup(const raft::Bytes& data) {
  (void)decode_dedup(data);
}
void try_config(const raft::Bytes& data) {
  (void)decode_config(data);
}

struct Target {
  std::string name;
  std::string bytes;
  Decoder decode;
};

std::vector<Target> entries() {
  const ConfigEntry config{"c", "e", {{raft::NodeId{5}, "n1", "a:1", "b:2", 77}, {raft::NodeId{6}, "n2", "", "", 78}}};
  const DedupEntry dedup{5, {{"orders", "", "a1"}, {"stock", "till-7", "a2"}}};
  return {{"publish", std::string(built(full_request()).view()), try_publish},
          {"raw publish", std::string(honest_entry().build().view()), try_publish},
          {"dedup", std::string(encode(dedup).view()), try_dedup},
          {"config", std::string(encode(config).view()), try_config}};
}

/// Frames whose checksum is right whatever is done to their payload: a peer that lies on purpose.
std::vector<Target> payloads() {
  std::vector<Target> targets;
  for (const auto& [name, message] : every_message()) {
    const std::string bytes = joined(encode(message));
    const auto type = static_cast<FrameType>(bytes[5]);
    targets.push_back({name, bytes.substr(kFrameHeaderBytes),
                       [type](const raft::Bytes& data) { (void)received(framed(type, data.view())); }});
  }
  return targets;
}

std::vector<Target> all() {
  auto targets = entries();
  for (auto& target : payloads()) targets.push_back(std::move(target));
  return targets;
}

TEST(Hostile, Fault087CutAtEveryByte) {
  for (const auto& target : all()) {
    for (std::size_t size = 0; size < target.bytes.size(); ++size) target.decode(tight(target.bytes.substr(0, size)));
  }
}

TEST(Hostile, Fault087EveryBitFlipped) {
  for (const auto& target : all()) {
    for (std::size_t bit = 0; bit < target.bytes.size() * 8; ++bit) {
      std::string flipped = target.bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      ASSERT_NO_FATAL_FAILURE(target.decode(tight(flipped))) << target.name << " bit " << bit;
    }
  }
}

TEST(Hostile, Fault087EveryOffsetAndLengthOutOfRange) {
  for (const auto& target : all()) {
    for (std::size_t at = 0; at + 4 <= target.bytes.size(); at += 2) {
      const auto size = static_cast<std::uint32_t>(target.bytes.size());
      for (const std::uint32_t value : {0U, 1U, 4U, size, size - static_cast<std::uint32_t>(at), 0x7fffffffU,
                                        0x80000000U, 0xfffffff0U, 0xffffffffU}) {
        std::string changed = target.bytes;
        std::memcpy(changed.data() + at, &value, sizeof value);
        ASSERT_NO_FATAL_FAILURE(target.decode(tight(changed))) << target.name << " at " << at << ": " << value;
      }
    }
  }
}

TEST(Hostile, Fault087EveryVtableEntryPointsEverywhere) {
  for (const auto& target : entries()) {
    for (std::size_t at = 0; at + 2 <= std::min<std::size_t>(target.bytes.size(), 80); at += 2) {
      for (std::uint16_t value = 0; value < target.bytes.size() + 8; ++value) {
        std::string changed = target.bytes;
        std::memcpy(changed.data() + at, &value, sizeof value);
        ASSERT_NO_FATAL_FAILURE(target.decode(tight(changed))) << target.name << " at " << at << ": " << value;
      }
    }
  }
}

TEST(Hostile, Fault087RandomDamage) {
  std::mt19937_64 random(seed());
  const auto targets = all();
  for (int round = 0; round < 20'000; ++round) {
    const auto& target = targets[random() % targets.size()];
    std::string changed = target.bytes;
    for (auto left = 1 + random() % 6; left > 0; --left) {
      const std::size_t at = random() % changed.size();
      switch (random() % 4) {
        case 0:
          changed[at] = static_cast<char>(random());
          break;
        case 1:
          changed[at] = static_cast<char>(changed[at] + 1);
          break;
        case 2: {
          const std::size_t from = random() % changed.size();
          const std::size_t size = std::min({changed.size() - at, changed.size() - from, random() % 17});
          std::memmove(changed.data() + at, changed.data() + from, size);
          break;
        }
        default:
          changed.resize(1 + random() % changed.size());
      }
    }
    ASSERT_NO_FATAL_FAILURE(target.decode(tight(changed, random() % 8))) << target.name;
  }
}

TEST(Hostile, Fault087NoiseIsRefused) {
  std::mt19937_64 random(seed());
  for (int round = 0; round < 20'000; ++round) {
    std::string noise(random() % 120, '\0');
    // Mostly small numbers: they look like offsets.
    for (char& c : noise) c = static_cast<char>(random() % 3 == 0 ? random() % 32 : 0);
    const auto bytes = tight(noise);
    EXPECT_FALSE(decode_dedup(bytes));
    EXPECT_FALSE(decode_config(bytes));
    try_publish(bytes);
    for (int type = 1; type <= 6; ++type) {
      noise.resize((noise.size() + 7) / 8 * 8);
      EXPECT_FALSE(received(framed(static_cast<FrameType>(type), noise)));
    }
  }
}

TEST(Hostile, Fault087AVectorOfEightByteNumbersAtAnOddPlaceIsRefused) {
  // The verifier looks at the alignment of a vector's length only. Between the length of expectation_next and its
  // numbers there is nothing, so a length at 8n puts the numbers at 8n + 4.
  RawEntry raw = honest_entry();
  const auto honest = raw.build();
  bool refused_for_alignment = false;
  for (std::size_t at = 0; at + 4 <= honest.size(); at += 4) {
    std::string changed(honest.view());
    std::uint32_t offset = 0;
    std::memcpy(&offset, changed.data() + at, sizeof offset);
    offset -= 4;
    std::memcpy(changed.data() + at, &offset, sizeof offset);
    const auto view = PublishView::verify(tight(changed));
    if (!view) refused_for_alignment |= view.error().text.find("aligned") != std::string::npos;
  }
  EXPECT_TRUE(refused_for_alignment);
}

TEST(Hostile, Fault087ManyOffsetsToOneTopicAreRefusedSoon) {
  // Two million names in 8 MB, all the same string.
  RawEntry raw = honest_entry();
  const auto small = raw.build();
  std::string bytes(small.view());
  const std::uint32_t count = 2'000'000;
  // A vector of offsets appended behind; the root's topics field is pointed at it, each offset back is impossible
  // (offsets only go forward), so the string follows the vector.
  while (bytes.size() % 4 != 0) bytes += '\0';
  const auto vector_at = static_cast<std::uint32_t>(bytes.size());
  bytes.append(4 + std::size_t{4} * count, '\0');
  const auto string_at = static_cast<std::uint32_t>(bytes.size());
  bytes += std::string("\1\0\0\0t\0\0\0", 8);
  std::memcpy(bytes.data() + vector_at, &count, 4);
  for (std::uint32_t n = 0; n < count; ++n) {
    const std::uint32_t slot = vector_at + 4 + 4 * n;
    const std::uint32_t offset = string_at - slot;
    std::memcpy(bytes.data() + slot, &offset, 4);
  }
  std::uint32_t root = 0;
  std::memcpy(&root, bytes.data(), 4);
  std::int32_t to_vtable = 0;
  std::memcpy(&to_vtable, bytes.data() + root, 4);
  std::uint16_t field = 0;
  std::memcpy(&field, bytes.data() + (static_cast<std::int32_t>(root) - to_vtable) + 4 + 2 * topics, 2);
  const std::uint32_t slot = root + field;
  const std::uint32_t offset = vector_at - slot;
  std::memcpy(bytes.data() + slot, &offset, 4);
  const auto view = PublishView::verify(tight(bytes));
  ASSERT_FALSE(view);
  EXPECT_NE(view.error().text.find("topic"), std::string::npos) << view.error().text;
}

}  // namespace
}  // namespace weir::wire::test
