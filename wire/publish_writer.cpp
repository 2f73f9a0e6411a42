// Lays columns down as one FlatBuffer: each column is made once, at its final size, and filled part by part.
#include <algorithm>
#include <cstring>

#include "wire/dictionary.hpp"
#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/publish_columns.hpp"

namespace weir::wire {
namespace {

using flatbuffers::Offset;
using flatbuffers::uoffset_t;
using flatbuffers::Vector;
using Parts = std::span<const PublishColumns* const>;
using RowCount = std::uint32_t (PublishColumns::*)() const;

/// vtable, table, root, and the length and padding of 28 vectors.
constexpr std::size_t kFixedBytesMax = 640;
/// Length, terminator and padding of a string, and the offset to it.
constexpr std::size_t kStringBytesMax = 4 + 4 + 4;
/// body, topic, id, source, key, content type: one u32 each, should all columns be needed.
constexpr std::size_t kEventBytesMaxInColumns = 6 * sizeof(std::uint32_t);

std::size_t bytes_of(const std::vector<std::string_view>& names) {
  std::size_t bytes = 0;
  for (const auto name : names) bytes += name.size() + kStringBytesMax;
  return bytes;
}

std::size_t bytes_of(const PublishColumns& part) {
  return part.request_end.size() * 2 * sizeof(std::uint32_t) + part.request_id.blob.size() +
         part.event_count() * kEventBytesMaxInColumns + part.body.blob.size() + part.id.blob.size() +
         part.source.blob.size() + part.key.blob.size() + bytes_of(part.topic.names) +
         bytes_of(part.content_type.names) + kStringBytesMax + part.header_event.size() * 3 * sizeof(std::uint32_t) +
         bytes_of(part.header_name.names) + part.header_value.blob.size() +
         part.expectation_next.size() * (sizeof(std::uint32_t) + sizeof(std::uint64_t)) +
         bytes_of(part.expectation_topics) +
         part.commit_lease.size() * (sizeof(std::uint32_t) + 2 * sizeof(std::uint64_t)) + bytes_of(part.commit_groups);
}

struct BlobOffsets {
  Offset<Vector<std::uint32_t>> ends;
  Offset<Vector<std::uint8_t>> blob;
};

struct NameOffsets {
  Offset<Strings> names;
  Offset<Vector<std::uint32_t>> numbers;
};

/// Names of all parts under one numbering. Requires each part's names to stand in order of first use; then so do these.
class MergedNames {
 public:
  MergedNames(Parts parts, NameColumn PublishColumns::* column, RowCount rows) : column_(column) {
    for (const auto* part : parts) {
      first_.push_back(numbers_.size());
      const auto& names = (part->*column).names;
      if (names.empty() && (part->*rows)() > 0) numbers_.push_back(dictionary_.add({}));
      for (const auto name : names) numbers_.push_back(dictionary_.add(name));
    }
  }

  [[nodiscard]] const std::vector<std::string_view>& names() const { return dictionary_.names(); }

  /// Writes the part's rows in the new numbering.
  std::uint32_t* fill(std::uint32_t* out, const PublishColumns& part, std::size_t part_number,
                      std::uint32_t rows) const {
    if (rows == 0) return out;
    const std::span numbers = std::span(numbers_).subspan(first_[part_number]);
    const auto& column = part.*column_;
    if (column.numbers.empty()) return std::fill_n(out, rows, numbers[0]);
    return std::ranges::transform(column.numbers, out, [&](auto number) { return numbers[number]; }).out;
  }

 private:
  NameColumn PublishColumns::* column_;
  Dictionary dictionary_;
  std::vector<std::uint32_t> numbers_;  ///< of all parts, one after the other: new number of a part's n-th name
  std::vector<std::size_t> first_;      ///< where in numbers_ a part begins
};

class Writer {
 public:
  explicit Writer(Parts parts) : parts_(parts), builder_(written_bytes_max(parts)) {}

  BlobOffsets blob(BlobColumn PublishColumns::* column, RowCount rows) {
    if (std::ranges::none_of(parts_, [=](const auto* part) { return (part->*column).present(); })) return {};
    std::size_t size = 0;
    for (const auto* part : parts_) size += (part->*column).blob.size();
    std::uint8_t* bytes = nullptr;
    const auto blob = unfilled_vector(builder_, size, bytes);
    for (const auto* part : parts_) {
      const auto view = (part->*column).blob;
      if (!view.empty()) std::memcpy(bytes, view.data(), view.size());
      bytes += view.size();
    }
    return {ends(column, rows), blob};
  }

  NameOffsets names(NameColumn PublishColumns::* column, RowCount rows) {
    const MergedNames merged(parts_, column, rows);
    // One name: every number is 0. That name is "": nothing is said at all.
    if (merged.names().size() == 1 && merged.names()[0].empty()) return {};
    NameOffsets offsets;
    if (merged.names().size() > 1) offsets.numbers = name_numbers(merged, rows);
    offsets.names = strings(merged.names());
    return offsets;
  }

  /// The names of headers always come with their numbers: the five fields of a header are all there, or none.
  NameOffsets header_names() {
    const RowCount rows = &PublishColumns::header_count;
    if (count(rows) == 0) return {};
    const MergedNames merged(parts_, &PublishColumns::header_name, rows);
    const auto numbers = name_numbers(merged, rows);
    return {strings(merged.names()), numbers};
  }

  /// A column of ordinals (of requests, of events), which rise by `steps` of the part from one part to the next.
  Offset<Vector<std::uint32_t>> ordinals(std::span<const std::uint32_t> PublishColumns::* column, RowCount steps) {
    std::size_t rows = 0;
    for (const auto* part : parts_) rows += (part->*column).size();
    if (rows == 0) return {};
    std::uint32_t* out = nullptr;
    const auto vector = unfilled_vector(builder_, rows, out);
    std::uint32_t base = 0;
    for (const auto* part : parts_) {
      for (const auto ordinal : part->*column) *out++ = base + ordinal;
      base += (part->*steps)();
    }
    return vector;
  }

  /// Of expectations and commits: strings as they stand, one per row.
  Offset<Strings> texts(std::vector<std::string_view> PublishColumns::* column) {
    std::vector<std::string_view> all;
    for (const auto* part : parts_) all.insert(all.end(), (part->*column).begin(), (part->*column).end());
    return all.empty() ? Offset<Strings>{} : strings(all);
  }

  Offset<Vector<std::uint64_t>> longs(std::span<const std::uint64_t> PublishColumns::* column) {
    std::size_t rows = 0;
    for (const auto* part : parts_) rows += (part->*column).size();
    if (rows == 0) return {};
    std::uint64_t* out = nullptr;
    const auto vector = unfilled_vector(builder_, rows, out);
    for (const auto* part : parts_) out = std::ranges::copy(part->*column, out).out;
    return vector;
  }

  flatbuffers::FlatBufferBuilder& builder() { return builder_; }

 private:
  [[nodiscard]] std::size_t count(RowCount rows) const {
    std::size_t sum = 0;
    for (const auto* part : parts_) sum += (part->*rows)();
    return sum;
  }

  Offset<Vector<std::uint32_t>> ends(BlobColumn PublishColumns::* column, RowCount rows) {
    std::uint32_t* out = nullptr;
    const auto vector = unfilled_vector(builder_, count(rows), out);
    std::uint32_t base = 0;
    for (const auto* part : parts_) {
      const auto& values = part->*column;
      if (values.present()) {
        for (const auto end : values.ends) *out++ = base + end;
      } else {
        out = std::fill_n(out, (part->*rows)(), base);
      }
      base += static_cast<std::uint32_t>(values.blob.size());
    }
    return vector;
  }

  Offset<Vector<std::uint32_t>> name_numbers(const MergedNames& merged, RowCount rows) {
    std::uint32_t* out = nullptr;
    const auto vector = unfilled_vector(builder_, count(rows), out);
    for (std::size_t n = 0; n < parts_.size(); ++n) out = merged.fill(out, *parts_[n], n, (parts_[n]->*rows)());
    return vector;
  }

  Offset<Strings> strings(const std::vector<std::string_view>& names) {
    std::vector<Offset<flatbuffers::String>> offsets;
    offsets.reserve(names.size());
    for (const auto name : names) offsets.push_back(builder_.CreateString(name.data(), name.size()));
    return builder_.CreateVector(offsets);
  }

  Parts parts_;
  flatbuffers::FlatBufferBuilder builder_;
};

}  // namespace

std::size_t written_bytes_max(std::span<const PublishColumns* const> parts) {
  std::size_t bytes = kFixedBytesMax;
  for (const auto* part : parts) bytes += bytes_of(*part);
  return bytes;
}

raft::Bytes write_publish(std::span<const PublishColumns* const> parts, std::uint64_t time_ms) {
  using Columns = PublishColumns;
  Writer writer(parts);
  const auto body = writer.blob(&Columns::body, &Columns::event_count);
  const auto id = writer.blob(&Columns::id, &Columns::event_count);
  const auto source = writer.blob(&Columns::source, &Columns::event_count);
  const auto key = writer.blob(&Columns::key, &Columns::event_count);
  const auto topic = writer.names(&Columns::topic, &Columns::event_count);
  const auto content_type = writer.names(&Columns::content_type, &Columns::event_count);
  const auto header_value = writer.blob(&Columns::header_value, &Columns::header_count);
  const auto header_name = writer.header_names();
  const auto header_event = writer.ordinals(&Columns::header_event, &Columns::event_count);
  const auto request_id = writer.blob(&Columns::request_id, &Columns::request_count);
  const auto request_end = writer.ordinals(&Columns::request_end, &Columns::event_count);
  const auto expectation_next = writer.longs(&Columns::expectation_next);
  const auto expectation_topics = writer.texts(&Columns::expectation_topics);
  const auto expectation_request = writer.ordinals(&Columns::expectation_request, &Columns::request_count);
  const auto commit_position = writer.longs(&Columns::commit_position);
  const auto commit_lease = writer.longs(&Columns::commit_lease);
  const auto commit_groups = writer.texts(&Columns::commit_groups);
  const auto commit_request = writer.ordinals(&Columns::commit_request, &Columns::request_count);
  auto& builder = writer.builder();
  builder.Finish(fbs::CreatePublishEntry(
      builder, time_ms, request_end, body.ends, body.blob, topic.names, topic.numbers, id.ends, id.blob, source.ends,
      source.blob, key.ends, key.blob, content_type.names, content_type.numbers, header_event, header_name.names,
      header_name.numbers, header_value.ends, header_value.blob, request_id.ends, request_id.blob, expectation_request,
      expectation_topics, expectation_next, commit_request, commit_groups, commit_lease, commit_position));
  return release(builder);
}

}  // namespace weir::wire
