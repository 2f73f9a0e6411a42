#include "wire/frame.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <type_traits>

#include "wire/flat.hpp"
#include "wire/hash.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

constexpr std::size_t kCheckedBytes = 12;
/// Size prefix, root offset, identifier and an empty table.
constexpr std::size_t kPayloadBytesMin = 16;
constexpr std::array<char, kAlignment> kZeros{};

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <class T>
void put_number(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// Static: nobody has to own it.
raft::Bytes zeros(std::size_t size) {
  return {nullptr, std::string_view(kZeros.data(), size)};
}

std::string text_of(FrameType type) {
  return std::to_string(static_cast<unsigned>(type));
}

bool known(FrameType type) {
  return type >= FrameType::hello && type <= FrameType::forward_reply;
}

}  // namespace

EncodedFrame seal(FrameType type, std::string_view table, std::vector<raft::Bytes> attachments) {
  std::string head(kFrameHeaderBytes + padded(table.size()), '\0');
  std::memcpy(head.data() + kFrameHeaderBytes, table.data(), table.size());
  std::size_t length = padded(table.size());
  for (const auto& attachment : attachments) length += padded(attachment.size());
  put_number(head, 0, static_cast<std::uint32_t>(length));
  put_number(head, 4, kFrameVersion);
  put_number(head, 5, static_cast<std::uint8_t>(type));
  // Flags (6) and group (8) are 0 in this version.

  EncodedFrame frame;
  frame.size = kFrameHeaderBytes + length;
  frame.parts.emplace_back();
  std::vector<std::string_view> checked{std::string_view(head).substr(0, kCheckedBytes),
                                        std::string_view(head).substr(kFrameHeaderBytes)};
  const auto append = [&](raft::Bytes part) {
    if (part.empty()) return;
    checked.push_back(part.view());
    frame.parts.push_back(std::move(part));
  };
  for (auto& attachment : attachments) {
    const auto padding = padded(attachment.size()) - attachment.size();
    append(std::move(attachment));
    append(zeros(padding));
  }
  put_number(head, kCheckedBytes, checksum_of(checked));
  frame.parts.front() = raft::Bytes::own(std::move(head));
  return frame;
}

std::expected<FrameHeader, Error> decode_header(std::string_view bytes, std::size_t length_max) {
  if (bytes.size() < kFrameHeaderBytes) {
    return std::unexpected(Error{Errc::truncated, "frame header of " + std::to_string(bytes.size()) + " bytes"});
  }
  const auto version = number_at<std::uint8_t>(bytes, 4);
  if (version != kFrameVersion) {
    return std::unexpected(Error{Errc::bad_version, "frame version " + std::to_string(version) +
                                                        ", this build speaks " + std::to_string(kFrameVersion)});
  }
  FrameHeader header;
  header.length = number_at<std::uint32_t>(bytes, 0);
  header.type = static_cast<FrameType>(number_at<std::uint8_t>(bytes, 5));
  header.group = number_at<std::uint32_t>(bytes, 8);
  header.checksum = number_at<std::uint64_t>(bytes, kCheckedBytes);
  std::ranges::copy(bytes.substr(0, kCheckedBytes), header.checked.begin());
  if (!known(header.type)) return std::unexpected(Error{Errc::unknown_type, "frame type " + text_of(header.type)});
  if (number_at<std::uint16_t>(bytes, 6) != 0) return malformed("frame flags: none are known to this build");
  if (header.length > length_max) {
    return std::unexpected(Error{Errc::too_large, "frame of " + std::to_string(header.length) + " bytes, at most " +
                                                      std::to_string(length_max) + " are accepted here"});
  }
  if (header.length < kPayloadBytesMin || header.length % kAlignment != 0) {
    return malformed("frame length " + std::to_string(header.length) + ": not a multiple of 8 from 16 on");
  }
  return header;
}

std::expected<Payload, Error> Payload::open(const FrameHeader& header, raft::Bytes bytes) {
  if (bytes.size() != header.length || bytes.size() < kPayloadBytesMin) {
    return std::unexpected(Error{Errc::truncated, "payload of " + std::to_string(bytes.size()) +
                                                      " bytes, the frame says " + std::to_string(header.length)});
  }
  const std::array checked{std::string_view(header.checked.data(), header.checked.size()), bytes.view()};
  if (checksum_of(checked) != header.checksum) {
    return std::unexpected(Error{Errc::bad_checksum, "frame of type " + text_of(header.type)});
  }
  Payload payload;
  payload.bytes_ = aligned(std::move(bytes));
  const std::size_t size = number_at<std::uint32_t>(payload.bytes_.view(), 0);
  payload.table_size_ = sizeof(std::uint32_t) + size;
  if (!payload.advance(payload.table_size_))
    return malformed("payload: the table does not fit, or its padding is not 0");
  return payload;
}

bool Payload::advance(std::size_t size) {
  const std::size_t left = bytes_.size() - next_;
  if (size > left || padded(size) > left) return false;
  const auto padding = bytes_.view().substr(next_ + size, padded(size) - size);
  if (std::ranges::any_of(padding, [](char c) { return c != '\0'; })) return false;
  next_ += padded(size);
  return true;
}

std::expected<raft::Bytes, Error> Payload::take(std::size_t size) {
  const std::size_t from = next_;
  if (!advance(size)) return malformed("payload: an attachment does not fit, or its padding is not 0");
  return bytes_.slice(from, size);
}

}  // namespace weir::wire
