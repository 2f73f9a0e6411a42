// The frame around every peer message: length, version, type, checksum.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/wire/samples.hpp"

namespace weir::wire::test {
namespace {

Errc code_of(const std::expected<FrameHeader, Error>& header) {
  return header ? Errc{} : header.error().code;
}
Errc code_of(const std::expected<PeerMessage, Error>& message) {
  return message ? Errc{} : message.error().code;
}

std::string header_with_length(std::uint32_t length) {
  std::string bytes = joined(encode(message(5, raft::TimeoutNow{}))).substr(0, kFrameHeaderBytes);
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes;
}

TEST(Frame, IsAsLongAsItsHeaderSays) {
  for (const auto& [name, message] : every_message()) {
    const std::string bytes = joined(encode(message));
    const auto header = decode_header(bytes, kFrameBytesMax);
    ASSERT_TRUE(header) << name;
    EXPECT_EQ(header->length + kFrameHeaderBytes, bytes.size()) << name;
    EXPECT_EQ(header->group, 0U) << name;
  }
}

TEST(Frame, Fault086LengthsAreRefusedBeforeAnythingIsAllocated) {
  for (const std::uint32_t length : {0U, 1U, 8U, 15U, 17U, 20U}) {
    EXPECT_EQ(code_of(decode_header(header_with_length(length), kFrameBytesMax)), Errc::malformed) << length;
  }
  for (const std::uint32_t length : {(16U << 20U) + 8, 1U << 31U, 0x7fffffffU, 0xffffffffU, 0xfffffff8U}) {
    EXPECT_EQ(code_of(decode_header(header_with_length(length), kFrameBytesMax)), Errc::too_large) << length;
  }
  EXPECT_EQ(code_of(decode_header(header_with_length(kHandshakeBytesMax + 8), kHandshakeBytesMax)), Errc::too_large);
  EXPECT_TRUE(decode_header(header_with_length(kHandshakeBytesMax), kHandshakeBytesMax));
}

TEST(Frame, Fault086AShortHeaderIsTruncated) {
  const std::string bytes = joined(encode(hello()));
  for (std::size_t size = 0; size < kFrameHeaderBytes; ++size) {
    EXPECT_EQ(code_of(decode_header(tight(bytes.substr(0, size)).view(), kFrameBytesMax)), Errc::truncated) << size;
  }
}

TEST(Frame, Fault040AnotherVersionIsRefused) {
  std::string bytes = joined(encode(hello()));
  bytes[4] = 2;
  EXPECT_EQ(code_of(decode_header(bytes, kFrameBytesMax)), Errc::bad_version);
}

TEST(Frame, Fault040AnUnknownTypeIsRefused) {
  for (const int type : {0, 7, 200, 255}) {
    std::string bytes = joined(encode(hello()));
    bytes[5] = static_cast<char>(type);
    EXPECT_EQ(code_of(decode_header(bytes, kFrameBytesMax)), Errc::unknown_type) << type;
  }
  // Nor does decode trust the header that it is given.
  std::string bytes = joined(encode(hello()));
  auto header = decode_header(bytes, kFrameBytesMax);
  ASSERT_TRUE(header);
  header->type = static_cast<FrameType>(77);
  EXPECT_EQ(code_of(decode(*header, tight(bytes.substr(kFrameHeaderBytes)))), Errc::unknown_type);
}

TEST(Frame, UnknownFlagsAreRefused) {
  std::string bytes = joined(encode(hello()));
  bytes[7] = 1;
  EXPECT_EQ(code_of(decode_header(bytes, kFrameBytesMax)), Errc::malformed);
}

TEST(Frame, EveryFlippedBitIsNoticed) {
  for (const auto& [name, message] : every_message()) {
    const std::string bytes = joined(encode(message));
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      ASSERT_FALSE(received(flipped)) << name << " bit " << bit;
    }
  }
}

TEST(Frame, EveryCutIsNoticed) {
  for (const auto& [name, message] : every_message()) {
    const std::string bytes = joined(encode(message));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_FALSE(received(bytes.substr(0, size))) << name << " at " << size;
    }
    EXPECT_FALSE(received(bytes + std::string(8, '\0'))) << name;
  }
}

TEST(Frame, Fault098ATableThatIsLargerThanItsPayloadIsRefused) {
  const std::string bytes = joined(encode(message(5, raft::TimeoutNow{})));
  for (const std::uint32_t size : {0U, 3U, 0x7fffffffU, 0xfffffffbU, 0xfffffffcU, 0xffffffffU}) {
    std::string payload = bytes.substr(kFrameHeaderBytes);
    std::memcpy(payload.data(), &size, sizeof size);
    EXPECT_EQ(code_of(received(framed(FrameType::raft, payload))), Errc::malformed) << size;
  }
}

TEST(Frame, ATableOfAnotherTypeIsRefused) {
  const std::string payload = joined(encode(message(5, raft::TimeoutNow{}))).substr(kFrameHeaderBytes);
  ASSERT_TRUE(received(framed(FrameType::raft, payload)));
  for (const auto type : {FrameType::hello, FrameType::welcome}) {
    EXPECT_EQ(code_of(received(framed(type, payload))), Errc::malformed);
  }
}

TEST(Frame, WithoutTheIdentifierIsRefused) {
  std::string payload = joined(encode(hello())).substr(kFrameHeaderBytes);
  ASSERT_EQ(payload.substr(8, 4), "WEIR");
  payload[8] = 'X';
  EXPECT_EQ(code_of(received(framed(FrameType::hello, payload))), Errc::malformed);
}

TEST(Frame, BytesThatNobodyLooksAtAreRefused) {
  for (const auto& [name, message] : every_message()) {
    const std::string bytes = joined(encode(message));
    const auto type = static_cast<FrameType>(bytes[5]);
    const std::string payload = bytes.substr(kFrameHeaderBytes);
    ASSERT_TRUE(received(framed(type, payload))) << name;
    EXPECT_EQ(code_of(received(framed(type, payload + std::string(8, '\0')))), Errc::malformed) << name;
  }
}

TEST(Frame, PaddingThatIsNotZeroIsRefused) {
  const raft::AppendEntries append{
      raft::Index{0}, raft::Term{0}, raft::Index{0}, {entry(1, 1, raft::Command::publish, "12345")}, {}};
  std::string payload = joined(encode(message(1, append))).substr(kFrameHeaderBytes);
  ASSERT_EQ(payload.substr(payload.size() - 8), std::string_view("12345\0\0\0", 8));
  payload.back() = '\1';
  EXPECT_EQ(code_of(received(framed(FrameType::raft, payload))), Errc::malformed);
}

TEST(Frame, DataOfEntriesIsSharedNotCopied) {
  const raft::Bytes data = raft::Bytes::copy_of(std::string(100'001, 'x'));
  raft::Entry sent = entry(1, 1, raft::Command::publish, data.view());
  sent.data = data;
  const auto frame =
      encode(message(1, raft::AppendEntries{{}, {}, {}, {sent, entry(2, 1, raft::Command::noop, "")}, {}}));
  ASSERT_EQ(frame.parts.size(), 3U);  // head, data, padding
  EXPECT_EQ(frame.parts[1].data(), data.data());

  const std::string bytes = joined(frame);
  const raft::Bytes payload = tight(std::string_view(bytes).substr(kFrameHeaderBytes));
  const auto decoded = decode(*decode_header(bytes, kFrameBytesMax), payload);
  ASSERT_TRUE(decoded) << decoded.error().text;
  const auto& received = std::get<raft::AppendEntries>(std::get<raft::Message>(*decoded).body).entries[0].data;
  EXPECT_GT(received.data(), payload.data());
  EXPECT_LT(received.data(), payload.data() + payload.size());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(received.data()) % 8, 0U);
}

TEST(Frame, APayloadAtAnyAddressIsDecodedWithAlignedData) {
  const auto sent = every_message().at("append-entries");
  const std::string bytes = joined(encode(sent));
  for (std::size_t shift = 0; shift < 8; ++shift) {
    const auto got = received(bytes, shift);
    ASSERT_TRUE(got) << got.error().text;
    EXPECT_EQ(*got, sent);
    for (const auto& entry : std::get<raft::AppendEntries>(std::get<raft::Message>(*got).body).entries) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(entry.data.data()) % 8, 0U);
    }
  }
}

TEST(Frame, TheLargestEntryFits) {
  const std::string data(kEntryBytesMax, 'x');
  const auto frame =
      encode(message(1, raft::AppendEntries{{}, {}, {}, {entry(1, 1, raft::Command::publish, data)}, {}}));
  EXPECT_LE(frame.size, kFrameBytesMax + kFrameHeaderBytes);
  EXPECT_TRUE(received(joined(frame)));
}

}  // namespace
}  // namespace weir::wire::test
