// PeerMessage as frames: the handshake and forwarding here, the rest in raft_codec and outcome_codec.
#include <algorithm>

#include "wire/flat.hpp"
#include "wire/outcome_codec.hpp"
#include "wire/raft_codec.hpp"
#include "wire/raft_generated.h"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

/// Welcome, and its Hello.
constexpr VerifyLimits kHandshakeLimits{.depth = 2, .tables = 2};
constexpr VerifyLimits kOneTable{.depth = 1, .tables = 1};

Offset<fbs::Hello> create(FlatBufferBuilder& builder, const Hello& hello) {
  const auto cluster_id = builder.CreateString(hello.cluster_id);
  const auto node = builder.CreateString(hello.node);
  const auto members = builder.CreateVectorOfStrings(hello.members);
  const auto raft_address = builder.CreateString(hello.raft_address);
  const auto http_address = builder.CreateString(hello.http_address);
  return fbs::CreateHello(builder, hello.version_min, hello.version_max, cluster_id, node, hello.incarnation,
                          hello.boot_nonce, members, raft_address, http_address, hello.started_term.value,
                          hello.started_index.value, hello.lost_data);
}

struct Encoder {
  EncodedFrame operator()(const Hello& hello) const {
    FlatBufferBuilder builder;
    return table(FrameType::hello, builder, create(builder, hello));
  }
  EncodedFrame operator()(const Welcome& welcome) const {
    FlatBufferBuilder builder;
    const auto size = std::min(welcome.refusal.size(), kDetailBytesMax);
    const auto refusal = builder.CreateString(welcome.refusal.data(), size);
    return table(FrameType::welcome, builder, fbs::CreateWelcome(builder, create(builder, welcome.hello), refusal));
  }
  EncodedFrame operator()(const Found& found) const {
    FlatBufferBuilder builder;
    const auto offset = fbs::CreateFound(builder, static_cast<std::uint32_t>(found.config.size()),
                                         static_cast<std::uint32_t>(found.admission.size()));
    return table(FrameType::found, builder, offset, {found.config, found.admission});
  }
  EncodedFrame operator()(const raft::Message& message) const { return encode_message(message); }
  EncodedFrame operator()(const Forward& forward) const {
    FlatBufferBuilder builder;
    const auto offset =
        fbs::CreateForward(builder, forward.number, forward.boot_nonce, static_cast<std::uint8_t>(forward.command),
                           forward.timeout_ms, static_cast<std::uint32_t>(forward.request.size()));
    return table(FrameType::forward, builder, offset, {forward.request});
  }
  EncodedFrame operator()(const ForwardReply& reply) const { return encode_reply(reply); }

 private:
  template <class Table>
  static EncodedFrame table(FrameType type, FlatBufferBuilder& builder, Offset<Table> root,
                            std::vector<raft::Bytes> attachments = {}) {
    builder.FinishSizePrefixed(root, kFrameIdentifier);
    return seal(type, finished(builder), std::move(attachments));
  }
};

/// Sorted and distinct, `node` among them.
bool members_hold(const std::vector<std::string_view>& members, std::string_view node) {
  const bool rising = std::ranges::adjacent_find(members, std::greater_equal{}) == members.end();
  return rising && std::ranges::binary_search(members, node);
}

std::expected<Hello, Error> decode_hello(const fbs::Hello& table) {
  Rules rules("Hello");
  const auto node = text_of(table.node());
  const auto cluster_id = text_of(table.cluster_id());
  const auto raft_address = text_of(table.raft_address());
  const auto http_address = text_of(table.http_address());
  rules.that(table.version_min() > 0 && table.version_min() <= table.version_max(), "versions: from 1, min to max");
  rules.visible(cluster_id, kClusterIdBytesMax, "cluster_id: at most 64 visible bytes");
  rules.node_name(node, "node: 1 to 32 of [a-z0-9-]");
  rules.visible(raft_address, kAddressBytesMax, "raft_address: at most 255 visible bytes");
  rules.visible(http_address, kAddressBytesMax, "http_address: at most 255 visible bytes");
  rules.number(table.started_term(), "started_term: below 2^62");
  rules.number(table.started_index(), "started_index: below 2^62");
  rules.that(table.members()->size() <= kMembersMax, "members: at most 64");
  if (!rules.hold()) return rules.error();
  const auto members = texts_of(table.members());
  for (const auto member : members) rules.node_name(member, "members: names of 1 to 32 of [a-z0-9-]");
  rules.that(members_hold(members, node), "members: sorted, distinct, the node among them");
  if (!rules.hold()) return rules.error();
  return Hello{.version_min = table.version_min(),
               .version_max = table.version_max(),
               .cluster_id = std::string(cluster_id),
               .node = std::string(node),
               .incarnation = table.incarnation(),
               .boot_nonce = table.boot_nonce(),
               .members = {members.begin(), members.end()},
               .raft_address = std::string(raft_address),
               .http_address = std::string(http_address),
               .started_term = raft::Term{table.started_term()},
               .started_index = raft::Index{table.started_index()},
               .lost_data = table.lost_data()};
}

std::expected<Hello, Error> decode_hello(const Payload& payload) {
  const auto* table = verified_prefixed<fbs::Hello>(payload.table(), kFrameIdentifier, kOneTable);
  if (table == nullptr) return malformed("Hello: not a FlatBuffer of this schema");
  return decode_hello(*table);
}

std::expected<Welcome, Error> decode_welcome(const Payload& payload) {
  const auto* table = verified_prefixed<fbs::Welcome>(payload.table(), kFrameIdentifier, kHandshakeLimits);
  if (table == nullptr) return malformed("Welcome: not a FlatBuffer of this schema");
  const auto refusal = text_of(table->refusal());
  if (refusal.size() > kDetailBytesMax) return malformed("Welcome: a refusal has at most 4096 bytes");
  auto hello = decode_hello(*table->hello());
  if (!hello) return std::unexpected(hello.error());
  return Welcome{std::move(*hello), std::string(refusal)};
}

std::expected<Found, Error> decode_found(Payload& payload) {
  const auto* table = verified_prefixed<fbs::Found>(payload.table(), kFrameIdentifier, kOneTable);
  if (table == nullptr) return malformed("Found: not a FlatBuffer of this schema");
  auto config = payload.take(table->config_size());
  if (!config) return std::unexpected(config.error());
  auto admission = payload.take(table->admission_size());
  if (!admission) return std::unexpected(admission.error());
  return Found{std::move(*config), std::move(*admission)};
}

std::expected<Forward, Error> decode_forward(Payload& payload) {
  const auto* table = verified_prefixed<fbs::Forward>(payload.table(), kFrameIdentifier, kOneTable);
  if (table == nullptr) return malformed("Forward: not a FlatBuffer of this schema");
  const auto command = static_cast<raft::Command>(table->command());
  Rules rules("Forward");
  rules.that((command >= raft::Command::publish && command <= raft::Command::group) || command == raft::Command::batch,
             "command: PUBLISH, DEDUP, TOPIC, GROUP or BATCH");
  rules.that(table->request_size() <= kEntryBytesMax, "request: at most 12 MiB");
  if (!rules.hold()) return rules.error();
  auto request = payload.take(table->request_size());
  if (!request) return std::unexpected(request.error());
  return Forward{table->number(), table->boot_nonce(), command, table->timeout_ms(), std::move(*request)};
}

/// Lifts what a decoder has found into the variant, if it has used every byte.
template <class T>
std::expected<PeerMessage, Error> whole(std::expected<T, Error> decoded, const Payload& payload) {
  if (!decoded) return std::unexpected(decoded.error());
  if (!payload.used_up()) return malformed("payload: bytes after its end");
  return PeerMessage(std::move(*decoded));
}

}  // namespace

EncodedFrame encode(const PeerMessage& message) {
  return std::visit(Encoder{}, message);
}

std::expected<PeerMessage, Error> decode(const FrameHeader& header, raft::Bytes payload) {
  auto opened = Payload::open(header, std::move(payload));
  if (!opened) return std::unexpected(opened.error());
  switch (header.type) {
    case FrameType::hello:
      return whole(decode_hello(*opened), *opened);
    case FrameType::welcome:
      return whole(decode_welcome(*opened), *opened);
    case FrameType::found:
      return whole(decode_found(*opened), *opened);
    case FrameType::raft:
      return whole(decode_message(*opened), *opened);
    case FrameType::forward:
      return whole(decode_forward(*opened), *opened);
    case FrameType::forward_reply:
      return whole(decode_reply(*opened), *opened);
  }
  return std::unexpected(Error{Errc::unknown_type, "frame type " + std::to_string(static_cast<unsigned>(header.type))});
}

}  // namespace weir::wire
