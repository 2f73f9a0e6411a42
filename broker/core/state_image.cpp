#include "broker/core/state_image.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "wire/hash.hpp"

namespace weir::broker {
namespace {

static_assert(std::endian::native == std::endian::little, "images are written as the numbers lie in memory");

constexpr std::uint16_t kVersion = 4;
constexpr std::size_t kMagicSize = 4;
constexpr std::size_t kHeadSize = 16;
constexpr char kRow = 1;
constexpr char kIdsOf = 2;
constexpr char kForeverId = 5;

template <class T>
void put(std::string& out, T value) {
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(T));
  out.append(bytes.data(), bytes.size());
}

[[nodiscard]] std::uint64_t checksum(std::string_view bytes) {
  const std::array parts{bytes};
  return wire::checksum_of(parts);
}

/// `records` with its head.
[[nodiscard]] std::string image_of(std::string_view magic, std::string_view records) {
  std::string behind(magic);
  behind.reserve(records.size() + kHeadSize);
  put(behind, kVersion);
  put(behind, std::uint16_t{0});
  behind += records;
  std::string image;
  image.reserve(behind.size() + sizeof(std::uint64_t));
  put(image, checksum(behind));
  return image += behind;
}

}  // namespace

void DeltaWriter::add(const storage::EntryRow& row) {
  records_ += kRow;
  put(records_, row.log_index.value);
  put(records_, row.first_position.value);
  put(records_, row.time_ms);
  put(records_, row.stored_count);
  put(records_, static_cast<std::uint32_t>(row.skipped.size()));
  for (const std::uint32_t ordinal : row.skipped) {
    put(records_, ordinal);
  }
  put(records_, static_cast<std::uint32_t>(row.topics.size()));
  for (const auto& part : row.topics) {
    put(records_, static_cast<std::uint32_t>(part.topic.value));
    put(records_, part.count);
    put(records_, part.bytes);
    put(records_, part.last);
    put(records_, part.first_offset.value);
  }
}

void DeltaWriter::add(storage::IdHash hash, storage::IdPlace place, Kind kind) {
  if (place.log_index != ids_of_) {
    ids_of_ = place.log_index;
    records_ += kIdsOf;
    put(records_, ids_of_.value);
  }
  std::array<char, 21> record{static_cast<char>(kind)};
  std::memcpy(record.data() + 1, &hash.high, sizeof hash.high);
  std::memcpy(record.data() + 9, &hash.low, sizeof hash.low);
  std::memcpy(record.data() + 17, &place.ordinal, sizeof place.ordinal);
  records_.append(record.data(), record.size());
}

void DeltaWriter::add(raft::TopicId topic, const EventId& id, const ForeverRow& row) {
  records_ += kForeverId;
  put(records_, static_cast<std::uint32_t>(topic.value));
  put(records_, row.log_index.value);
  put(records_, row.offset.value);
  put(records_, row.position.value);
  put(records_, row.time_ms);
  put(records_, row.content.high);
  put(records_, row.content.low);
  put(records_, static_cast<std::uint16_t>(id.source.size()));
  put(records_, static_cast<std::uint16_t>(id.id.size()));
  records_ += id.source;
  records_ += id.id;
}

void DeltaWriter::clear() {
  records_.clear();
  ids_of_ = {};
}

std::string DeltaWriter::take() {
  ids_of_ = {};
  return image_of(kDeltaMagic, std::exchange(records_, {}));
}

std::expected<ImageReader, std::string> ImageReader::open(std::string_view image, std::string_view magic) {
  if (image.size() < kHeadSize) {
    return std::unexpected("cut short");
  }
  ImageReader reader(image);
  const std::uint64_t sum = reader.u64();
  if (sum != checksum(image.substr(sizeof sum))) {
    return std::unexpected("its checksum does not hold");
  }
  if (reader.text(kMagicSize) != magic) {
    return std::unexpected("not a " + std::string(magic) + " image");
  }
  reader.version_ = reader.u16();
  if (reader.version_ == 0 || reader.version_ > kVersion || reader.u16() != 0) {
    return std::unexpected("version " + std::to_string(reader.version_) + " is not known here; run a newer weir");
  }
  return reader;
}

template <class T>
T ImageReader::number() {
  if (rest_.size() < sizeof(T)) {
    broken_ = true;
    return 0;
  }
  // A start reads four of them for each id that is retained.
  T value{};
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): so many bytes are there
  std::memcpy(&value, rest_.data(), sizeof(T));
  rest_.remove_prefix(sizeof(T));
  return value;
}

template std::uint8_t ImageReader::number();
template std::uint16_t ImageReader::number();
template std::uint32_t ImageReader::number();
template std::uint64_t ImageReader::number();

std::string_view ImageReader::text(std::size_t size) {
  if (rest_.size() < size) {
    broken_ = true;
    return {};
  }
  const std::string_view text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return text;
}

ImageReader::ForeverId ImageReader::forever_id() {
  ForeverId read;
  read.topic = raft::TopicId{u32()};
  read.row.log_index = raft::Index{u64()};
  read.row.offset = raft::Offset{u64()};
  read.row.position = raft::Position{u64()};
  read.row.time_ms = u64();
  read.row.content.high = u64();
  read.row.content.low = u64();
  const std::size_t source_size = u16();
  const std::size_t id_size = u16();
  read.id.source = text(source_size);
  read.id.id = text(id_size);
  return read;
}

std::uint32_t ImageReader::count(std::size_t size) {
  const std::uint32_t count = u32();
  if (count > rest_.size() / size) {
    broken_ = true;
    return 0;
  }
  return count;
}

template <class T>
void ImageWriter::number(T value) {
  put(bytes_, value);
}

template void ImageWriter::number(std::uint8_t);
template void ImageWriter::number(std::uint16_t);
template void ImageWriter::number(std::uint32_t);
template void ImageWriter::number(std::uint64_t);

std::string ImageWriter::finish(std::string_view magic) {
  return image_of(magic, std::exchange(bytes_, {}));
}

}  // namespace weir::broker
