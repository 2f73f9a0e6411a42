#include "wire/raft_codec.hpp"

#include "wire/flat.hpp"
#include "wire/raft_generated.h"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

/// Message, and its body.
constexpr VerifyLimits kLimits{.depth = 2, .tables = 2};

fbs::ReadContext to_fbs(const raft::ReadContext& context) {
  return {context.node.value, context.boot_nonce, context.sequence};
}

fbs::EntryHead to_fbs(const raft::Entry& entry) {
  return {entry.index.value, entry.term.value, entry.checksum, static_cast<std::uint32_t>(entry.data.size()),
          static_cast<std::uint8_t>(entry.command)};
}

// --- to bytes: one function per body, which returns the union member and collects attachments ---

struct Body {
  fbs::Body type;
  Offset<void> offset;
};

struct BodyEncoder {
  FlatBufferBuilder& builder;
  std::vector<raft::Bytes>& attachments;

  Body operator()(const raft::RequestVote& vote) const {
    return {fbs::Body::RequestVote, fbs::CreateRequestVote(builder, static_cast<fbs::VoteKind>(vote.kind),
                                                           vote.last_log_index.value, vote.last_log_term.value)
                                        .Union()};
  }
  Body operator()(const raft::RequestVoteReply& reply) const {
    return {fbs::Body::RequestVoteReply, fbs::CreateRequestVoteReply(builder, static_cast<fbs::VoteKind>(reply.kind),
                                                                     static_cast<fbs::VoteAnswer>(reply.answer))
                                             .Union()};
  }
  Body operator()(const raft::AppendEntries& append) const {
    std::vector<fbs::EntryHead> heads;
    heads.reserve(append.entries.size());
    attachments.reserve(append.entries.size());
    for (const auto& entry : append.entries) {
      heads.push_back(to_fbs(entry));
      attachments.push_back(entry.data);
    }
    Offset<flatbuffers::Vector<const fbs::EntryHead*>> entries;
    if (!heads.empty()) entries = builder.CreateVectorOfStructs(heads);
    const auto context = to_fbs(append.read_context);
    return {fbs::Body::AppendEntries,
            fbs::CreateAppendEntries(builder, append.prev_log_index.value, append.prev_log_term.value,
                                     append.leader_commit.value, entries, &context)
                .Union()};
  }
  Body operator()(const raft::AppendEntriesReply& reply) const {
    const auto context = to_fbs(reply.read_context);
    return {
        fbs::Body::AppendEntriesReply,
        fbs::CreateAppendEntriesReply(builder, static_cast<fbs::AppendAnswer>(reply.answer), reply.match_index.value,
                                      reply.conflict_term.value, reply.conflict_index.value, &context)
            .Union()};
  }
  Body operator()(const raft::ReadIndexRequest& request) const {
    const auto context = to_fbs(request.context);
    return {fbs::Body::ReadIndexRequest, fbs::CreateReadIndexRequest(builder, &context).Union()};
  }
  Body operator()(const raft::ReadIndexReply& reply) const {
    const auto context = to_fbs(reply.context);
    return {fbs::Body::ReadIndexReply, fbs::CreateReadIndexReply(builder, &context, reply.index.value).Union()};
  }
  Body operator()(const raft::TimeoutNow&) const {
    return {fbs::Body::TimeoutNow, fbs::CreateTimeoutNow(builder).Union()};
  }
  Body operator()(const raft::InstallSnapshot& install) const {
    const raft::Snapshot& snapshot = install.snapshot;
    const fbs::EntryHead config = to_fbs(snapshot.config);
    attachments = {snapshot.config.data, install.data};
    return {
        fbs::Body::InstallSnapshot,
        fbs::CreateInstallSnapshot(builder, snapshot.index.value, snapshot.term.value, snapshot.number, snapshot.size,
                                   install.offset, &config, static_cast<std::uint32_t>(install.data.size()))
            .Union()};
  }
  Body operator()(const raft::InstallSnapshotReply& reply) const {
    return {fbs::Body::InstallSnapshotReply,
            fbs::CreateInstallSnapshotReply(builder, static_cast<fbs::InstallAnswer>(reply.answer), reply.index.value,
                                            reply.number, reply.offset)
                .Union()};
  }
};

// --- from bytes: each function reads one table and states its rules ---

raft::ReadContext from_fbs(const fbs::ReadContext* context, Rules& rules) {
  if (context == nullptr) return {};
  rules.number(context->sequence(), "read_context.sequence: below 2^62");
  return {raft::NodeId{context->node()}, context->boot_nonce(), context->sequence()};
}

raft::VoteKind from_fbs(fbs::VoteKind kind, Rules& rules) {
  rules.that(kind >= fbs::VoteKind::pre_vote && kind <= fbs::VoteKind::transfer_vote, "kind: a known one");
  return static_cast<raft::VoteKind>(kind);
}

/// Figure 2: the place before the first entry is index 0, term 0; every other place has a term.
bool place_holds(std::uint64_t index, std::uint64_t term) {
  return (index == 0) == (term == 0);
}

raft::RequestVote decode_body(const fbs::RequestVote& table, raft::Term term, Rules& rules) {
  rules.number(table.last_log_index(), "last_log_index: below 2^62");
  rules.that(table.last_log_term() <= term.value, "last_log_term: not above the message's term");
  rules.that(place_holds(table.last_log_index(), table.last_log_term()), "last_log_term: 0 only with index 0");
  rules.that(term.value > 0, "term: not 0");
  return {from_fbs(table.kind(), rules), raft::Index{table.last_log_index()}, raft::Term{table.last_log_term()}};
}

raft::RequestVoteReply decode_body(const fbs::RequestVoteReply& table, Rules& rules) {
  rules.that(table.answer() == fbs::VoteAnswer::granted || table.answer() == fbs::VoteAnswer::refused,
             "answer: a known one");
  return {from_fbs(table.kind(), rules), static_cast<raft::VoteAnswer>(table.answer())};
}

/// The entry that `head` announces: its data is the next attachment.
std::expected<raft::Entry, Error> take_entry(const fbs::EntryHead& head, Payload& payload) {
  auto data = payload.take(head.size());
  if (!data) return std::unexpected(data.error());
  raft::Entry entry{raft::Index{head.index()}, raft::Term{head.term()}, static_cast<raft::Command>(head.command()),
                    head.checksum(), std::move(*data)};
  if (!checksum_holds(entry)) {
    return std::unexpected(Error{Errc::bad_checksum, "entry " + std::to_string(head.index())});
  }
  return entry;
}

/// §5.3: the entries follow prev_log_index without a hole, and terms never fall nor pass the leader's.
std::expected<std::vector<raft::Entry>, Error> decode_entries(const fbs::AppendEntries& table, raft::Term term,
                                                              Payload& payload) {
  std::vector<raft::Entry> entries;
  if (table.entries() == nullptr) return entries;
  if (!well_placed(table.entries()->Data(), kAlignment)) return malformed("AppendEntries: entries are not aligned");
  entries.reserve(table.entries()->size());
  std::uint64_t index = table.prev_log_index();
  std::uint64_t term_before = table.prev_log_term();
  for (const auto* head : *table.entries()) {
    Rules rules("AppendEntries entry");
    rules.that(head->index() == ++index, "index: one above the entry before");
    rules.number(head->index(), "index: below 2^62");
    rules.that(head->term() > 0 && head->term() >= term_before, "term: not 0, not below the entry before");
    rules.that(head->term() <= term.value, "term: not above the message's");
    rules.that(head->command() != 0, "command: not 0");
    if (!rules.hold()) return rules.error();
    auto entry = take_entry(*head, payload);
    if (!entry) return std::unexpected(entry.error());
    term_before = head->term();
    entries.push_back(std::move(*entry));
  }
  return entries;
}

std::expected<raft::AppendEntries, Error> decode_body(const fbs::AppendEntries& table, raft::Term term,
                                                      Payload& payload) {
  Rules rules("AppendEntries");
  rules.that(term.value > 0, "term: not 0");
  rules.number(table.prev_log_index(), "prev_log_index: below 2^62");
  rules.that(table.prev_log_term() <= term.value, "prev_log_term: not above the message's term");
  rules.that(place_holds(table.prev_log_index(), table.prev_log_term()), "prev_log_term: 0 only with index 0");
  rules.number(table.leader_commit(), "leader_commit: below 2^62");
  const auto context = from_fbs(table.read_context(), rules);
  if (!rules.hold()) return rules.error();
  auto entries = decode_entries(table, term, payload);
  if (!entries) return std::unexpected(entries.error());
  return raft::AppendEntries{raft::Index{table.prev_log_index()}, raft::Term{table.prev_log_term()},
                             raft::Index{table.leader_commit()}, std::move(*entries), context};
}

raft::AppendEntriesReply decode_body(const fbs::AppendEntriesReply& table, raft::Term term, Rules& rules) {
  rules.that(table.answer() == fbs::AppendAnswer::matched || table.answer() == fbs::AppendAnswer::conflict,
             "answer: a known one");
  rules.number(table.match_index(), "match_index: below 2^62");
  rules.that(table.conflict_term() <= term.value, "conflict_term: not above the message's term");
  rules.number(table.conflict_index(), "conflict_index: below 2^62");
  return {static_cast<raft::AppendAnswer>(table.answer()), raft::Index{table.match_index()},
          raft::Term{table.conflict_term()}, raft::Index{table.conflict_index()},
          from_fbs(table.read_context(), rules)};
}

raft::ReadIndexRequest decode_body(const fbs::ReadIndexRequest& table, Rules& rules) {
  return {from_fbs(table.context(), rules)};
}

raft::ReadIndexReply decode_body(const fbs::ReadIndexReply& table, Rules& rules) {
  rules.number(table.index(), "index: below 2^62");
  return {from_fbs(table.context(), rules), raft::Index{table.index()}};
}

std::expected<raft::InstallSnapshot, Error> decode_body(const fbs::InstallSnapshot& table, raft::Term term,
                                                        Payload& payload) {
  Rules rules("InstallSnapshot");
  const fbs::EntryHead& config = *table.config();
  rules.that(table.index() > 0, "index: not 0");
  rules.number(table.index(), "index: below 2^62");
  rules.that(table.term() > 0 && table.term() <= term.value, "term: not 0, not above the message's");
  rules.number(table.size(), "size: below 2^62");
  rules.that(table.offset() <= table.size() && table.piece_size() <= table.size() - table.offset(),
             "offset: the piece ends within the snapshot");
  rules.that(table.piece_size() > 0 || table.size() == 0, "piece_size: 0 only of an empty snapshot");
  rules.that(config.index() > 0 && config.index() <= table.index(), "config.index: not 0, not above the snapshot's");
  rules.that(config.term() > 0 && config.term() <= table.term(), "config.term: not 0, not above the snapshot's");
  rules.that(config.command() == static_cast<std::uint8_t>(raft::Command::config), "config.command: CONFIG");
  if (!rules.hold()) return rules.error();
  auto entry = take_entry(config, payload);
  if (!entry) return std::unexpected(entry.error());
  auto piece = payload.take(table.piece_size());
  if (!piece) return std::unexpected(piece.error());
  return raft::InstallSnapshot{.snapshot = {.index = raft::Index{table.index()},
                                            .term = raft::Term{table.term()},
                                            .number = table.number(),
                                            .size = table.size(),
                                            .config = std::move(*entry)},
                               .offset = table.offset(),
                               .data = std::move(*piece)};
}

raft::InstallSnapshotReply decode_body(const fbs::InstallSnapshotReply& table, Rules& rules) {
  rules.that(table.answer() == fbs::InstallAnswer::more || table.answer() == fbs::InstallAnswer::installed,
             "answer: a known one");
  rules.number(table.index(), "index: below 2^62");
  rules.number(table.offset(), "offset: below 2^62");
  return {static_cast<raft::InstallAnswer>(table.answer()), raft::Index{table.index()}, table.number(), table.offset()};
}

using MessageBody = decltype(raft::Message::body);

std::expected<MessageBody, Error> decode_union(const fbs::Message& table, Rules& rules, Payload& payload) {
  const raft::Term term{table.term()};
  switch (table.body_type()) {
    case fbs::Body::RequestVote:
      return decode_body(*table.body_as_RequestVote(), term, rules);
    case fbs::Body::RequestVoteReply:
      return decode_body(*table.body_as_RequestVoteReply(), rules);
    case fbs::Body::AppendEntries:
      return decode_body(*table.body_as_AppendEntries(), term, payload);
    case fbs::Body::AppendEntriesReply:
      return decode_body(*table.body_as_AppendEntriesReply(), term, rules);
    case fbs::Body::ReadIndexRequest:
      return decode_body(*table.body_as_ReadIndexRequest(), rules);
    case fbs::Body::ReadIndexReply:
      return decode_body(*table.body_as_ReadIndexReply(), rules);
    case fbs::Body::TimeoutNow:
      rules.that(term.value > 0, "term: not 0");
      return raft::TimeoutNow{};
    case fbs::Body::InstallSnapshot:
      return decode_body(*table.body_as_InstallSnapshot(), term, payload);
    case fbs::Body::InstallSnapshotReply:
      return decode_body(*table.body_as_InstallSnapshotReply(), rules);
    case fbs::Body::NONE:
      break;
  }
  return std::unexpected(
      Error{Errc::unknown_type, "raft message body " + std::to_string(static_cast<unsigned>(table.body_type()))});
}

std::optional<raft::StateReport> decode_report(const fbs::StateReport* table, Rules& rules) {
  if (table == nullptr) return std::nullopt;
  rules.that(table->index() > 0, "report.index: not 0");
  rules.number(table->index(), "report.index: below 2^62");
  return raft::StateReport{raft::Index{table->index()}, table->digest()};
}

}  // namespace

EncodedFrame encode_message(const raft::Message& message) {
  FlatBufferBuilder builder;
  std::vector<raft::Bytes> attachments;
  const Body body = std::visit(BodyEncoder{builder, attachments}, message.body);
  const auto report = message.report.transform(
      [](const raft::StateReport& said) { return fbs::StateReport(said.index.value, said.digest); });
  builder.FinishSizePrefixed(
      fbs::CreateMessage(builder, message.from.value, message.to.value, message.term.value, message.wall_clock_ms,
                         body.type, body.offset, report ? &*report : nullptr, message.report_wanted.value),
      kFrameIdentifier);
  return seal(FrameType::raft, finished(builder), std::move(attachments));
}

std::expected<raft::Message, Error> decode_message(Payload& payload) {
  const auto* table = verified_prefixed<fbs::Message>(payload.table(), kFrameIdentifier, kLimits);
  if (table == nullptr) return malformed("raft message: not a FlatBuffer of this schema");
  Rules rules("raft message");
  rules.that(table->from() != 0 && table->to() != 0, "from and to: not 0");
  rules.that(table->from() != table->to(), "from and to: not the same");
  rules.number(table->term(), "term: below 2^62");
  rules.number(table->wall_clock_ms(), "wall_clock_ms: below 2^62");
  rules.number(table->report_wanted(), "report_wanted: below 2^62");
  const auto report = decode_report(table->report(), rules);
  if (!rules.hold()) return rules.error();
  auto body = decode_union(*table, rules, payload);
  if (!body) return std::unexpected(body.error());
  if (!rules.hold()) return rules.error();
  return raft::Message{.from = raft::NodeId{table->from()},
                       .to = raft::NodeId{table->to()},
                       .term = raft::Term{table->term()},
                       .wall_clock_ms = table->wall_clock_ms(),
                       .body = std::move(*body),
                       .report = report,
                       .report_wanted = raft::Index{table->report_wanted()}};
}

}  // namespace weir::wire
