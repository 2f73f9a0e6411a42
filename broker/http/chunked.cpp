#include "broker/http/chunked.hpp"

#include <algorithm>
#include <charconv>

namespace weir::broker::http {

namespace {

std::unexpected<HeadError> refuse(unsigned status, std::string text) {
  return std::unexpected(HeadError{status, std::move(text)});
}

}  // namespace

std::expected<void, HeadError> ChunkDecoder::take_size(std::string_view line, std::size_t body_size) {
  const std::string_view digits = line.substr(0, line.find(';'));
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), chunk_left_, 16);
  if (ec == std::errc::result_out_of_range) return refuse(413, "a chunk size beyond every limit");
  if (digits.empty() || digits.front() == '-' || ec != std::errc{} || end != digits.data() + digits.size()) {
    return refuse(400, "a chunk size is not a hexadecimal number");
  }
  if (chunk_left_ > body_bytes_max_ - body_size) {
    return refuse(413, "the body is longer than " + std::to_string(body_bytes_max_) + " bytes");
  }
  state_ = chunk_left_ == 0 ? State::trailer : State::data;
  return {};
}

std::expected<bool, HeadError> ChunkDecoder::take_line(std::string_view& rest, std::size_t body_size) {
  const std::size_t limit = state_ == State::trailer ? kTrailerBytesMax : kChunkLineBytesMax;
  const auto end = rest.find("\r\n");
  if (std::min(end, rest.size()) + trailer_bytes_ > limit) return refuse(400, "a chunk line or trailer is too long");
  if (end == std::string_view::npos) return false;
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
    return refuse(400, "a bare CR, LF or NUL in a chunk line");
  }
  switch (state_) {
    case State::size:
      if (auto taken = take_size(line, body_size); !taken) return std::unexpected(std::move(taken.error()));
      break;
    case State::data_end:
      if (!line.empty()) return refuse(400, "a chunk is longer than its size says");
      state_ = State::size;
      break;
    default:
      trailer_bytes_ += line.size() + 2;
      if (line.empty()) state_ = State::done;
  }
  return true;
}

std::expected<std::size_t, HeadError> ChunkDecoder::decode(std::string_view bytes, std::string& body) {
  std::string_view rest = bytes;
  while (state_ != State::done && !rest.empty()) {
    if (state_ == State::data) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, rest.size()));
      body.append(rest.substr(0, size));
      rest.remove_prefix(size);
      chunk_left_ -= size;
      if (chunk_left_ == 0) state_ = State::data_end;
      continue;
    }
    const auto taken = take_line(rest, body.size());
    if (!taken) return std::unexpected(taken.error());
    if (!*taken) break;
  }
  return bytes.size() - rest.size();
}

}  // namespace weir::broker::http
