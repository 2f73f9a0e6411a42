// Everything brokers say to each other, and its frames (wire/raft.fbs, wire/README.md).
// Values only; decode is safe to call from any thread.
//
// Frame: u32 length | u8 version | u8 type | u16 flags | u32 group | u64 checksum, little endian, then `length` bytes
// of payload. The checksum is XXH3-64 of the header's first 12 bytes and the payload. Payload: u32 size of a
// FlatBuffer, the FlatBuffer padded to 8 bytes, then attachments, each padded to 8: the data of each entry of a raft
// AppendEntries, the request of a Forward, the configs of a Found, the piece of an InstallSnapshot. So a sender gathers
// and a receiver points into the frame: event bytes are never re-encoded. Read a payload into a buffer at an address
// divisible by 8; elsewhere decode copies it first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "raft/message.hpp"
#include "wire/entry.hpp"
#include "wire/error.hpp"
#include "wire/outcome.hpp"

namespace weir::wire {

inline constexpr std::uint8_t kFrameVersion = 1;
inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 20;
/// One encoded entry (12 MiB) or a 4 MiB AppendEntries with its tables fits.
inline constexpr std::size_t kFrameBytesMax = std::size_t{16} << 20U;
/// Frames before the handshake is over are small.
inline constexpr std::size_t kHandshakeBytesMax = std::size_t{64} << 10U;

/// What the dialling side says first, and what the accepting side answers with.
struct Hello {
  std::uint16_t version_min = kProtocolVersion;
  std::uint16_t version_max = kProtocolVersion;
  std::string cluster_id;  ///< empty = this node is empty
  std::string node;        ///< name
  std::uint64_t incarnation = 0;
  std::uint64_t boot_nonce = 0;
  std::vector<std::string> members;  ///< names this node was started with, sorted; its own among them
  std::string raft_address;
  std::string http_address;
  /// What the log held when this life of the node began: it cannot be less than what an earlier one has shown.
  raft::Term started_term = {};
  raft::Index started_index = {};
  /// What this node had was damaged: if it is empty it waits to be let in again, and no cluster is founded with it.
  bool lost_data = false;
  friend bool operator==(const Hello&, const Hello&) = default;
};
/// The acceptor's answer; a non-empty `refusal` says why and the connection closes.
struct Welcome {
  Hello hello;
  std::string refusal;
  friend bool operator==(const Welcome&, const Welcome&) = default;
};
/// Bootstrap: the CONFIG entry at index 1, term 1, for an empty node whose incarnation it names, or that `admission`, a
/// later one, does.
struct Found {
  raft::Bytes config;
  raft::Bytes admission = {};
  friend bool operator==(const Found&, const Found&) = default;
};
/// A client's write, on its way to the leader: `request` is the data of a PUBLISH, DEDUP, TOPIC, GROUP or BATCH
/// entry with one request.
struct Forward {
  std::uint64_t number = 0;  ///< the forwarder's own; comes back in the reply
  std::uint64_t boot_nonce = 0;
  raft::Command command = raft::Command::publish;
  std::uint32_t timeout_ms = 0;
  raft::Bytes request;
  friend bool operator==(const Forward&, const Forward&) = default;
};
struct ForwardReply {
  std::uint64_t number = 0;
  std::uint64_t boot_nonce = 0;  ///< the forwarder's, as in the request
  Outcome outcome;
  friend bool operator==(const ForwardReply&, const ForwardReply&) = default;
};

using PeerMessage = std::variant<Hello, Welcome, Found, raft::Message, Forward, ForwardReply>;

/// Numbers are on the wire: never re-used.
enum class FrameType : std::uint8_t { hello = 1, welcome = 2, found = 3, raft = 4, forward = 5, forward_reply = 6 };

struct FrameHeader {
  std::uint32_t length = 0;
  FrameType type = FrameType::hello;
  std::uint32_t group = 0;
  std::uint64_t checksum = 0;
  std::array<char, 12> checked{};  ///< the header's first 12 bytes, as read
};

/// A frame as the parts of a gather write: nothing of an entry's data is copied.
struct EncodedFrame {
  std::vector<raft::Bytes> parts;
  std::size_t size = 0;
};

/// Writes what it is given; decode refuses what means nothing. Texts for humans are cut to 4,096 bytes.
[[nodiscard]] EncodedFrame encode(const PeerMessage& message);
/// Checks version, type, flags and `length <= length_max` before anything is allocated. Requires kFrameHeaderBytes
/// bytes; fewer are refused as truncated.
[[nodiscard]] std::expected<FrameHeader, Error> decode_header(std::string_view bytes, std::size_t length_max);
/// Checksum, FlatBuffers verifier, required fields, number limits (raft::kNumberLimit), contiguous entries, entry
/// checksums: all before the message is built. Entries' data share `payload`'s owner.
[[nodiscard]] std::expected<PeerMessage, Error> decode(const FrameHeader& header, raft::Bytes payload);

}  // namespace weir::wire
