#include "wire/entry.hpp"
#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

/// A claim's place in the vector, its table with two offsets, two strings of one byte. An entry in the log has as many
/// claims as waited for the disk together, so its size is what bounds them; more tables than fit are shared ones.
constexpr std::size_t kClaimBytesMin = 4 + 12 + 8 + 8;

}  // namespace

raft::Bytes encode(const DedupEntry& entry) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fbs::Claim>> claims;
  claims.reserve(entry.claims.size());
  for (const auto& claim : entry.claims) {
    const auto topic = builder.CreateString(claim.topic);
    const auto source = claim.source.empty() ? 0 : builder.CreateString(claim.source);
    claims.push_back(fbs::CreateClaim(builder, topic, source, builder.CreateString(claim.id)));
  }
  builder.Finish(fbs::CreateDedupEntry(builder, entry.time_ms, builder.CreateVector(claims)));
  return release(builder);
}

std::expected<DedupEntry, Error> decode_dedup(const raft::Bytes& data) {
  if (data.size() > kMergedBytesMax) {
    return std::unexpected(Error{Errc::too_large, "DEDUP entry: " + std::to_string(data.size()) + " bytes"});
  }
  const auto bytes = aligned(data);
  const auto tables = static_cast<flatbuffers::uoffset_t>(1 + bytes.size() / kClaimBytesMin);
  const auto* table = verified<fbs::DedupEntry>(bytes.view(), VerifyLimits{.depth = 2, .tables = tables});
  if (table == nullptr) return malformed("DEDUP entry: not a FlatBuffer of this schema");
  Rules rules("DEDUP entry");
  rules.that(table->time_ms().has_value(), "time: present");
  rules.number(table->time_ms().value_or(0), "time: below 2^62");
  rules.that(table->claims()->size() > 0, "claims: at least one");
  DedupEntry entry;
  entry.time_ms = table->time_ms().value_or(0);
  entry.claims.reserve(table->claims()->size());
  std::size_t bytes_copied = 0;
  for (const auto* claim : *table->claims()) {
    const auto topic = text_of(claim->topic());
    const auto source = text_of(claim->source());
    const auto id = text_of(claim->id());
    rules.that(!topic.empty() && topic.size() <= kTopicBytesMax, "topic: 1 to 255 bytes");
    rules.that(!id.empty() && id.size() <= kIdBytesMax, "id: 1 to 256 bytes");
    // Claims may point at the same string: what is copied out of them must not exceed what came in.
    bytes_copied += topic.size() + source.size() + id.size();
    rules.that(bytes_copied <= bytes.size(), "claims: no shared strings");
    if (!rules.hold()) return rules.error();
    entry.claims.push_back({std::string(topic), std::string(source), std::string(id)});
  }
  if (!rules.hold()) return rules.error();
  return entry;
}

}  // namespace weir::wire
