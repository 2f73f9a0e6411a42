#include "broker/http/cursor.hpp"

#include <algorithm>

#include "broker/http/query.hpp"

namespace weir::broker::http {

namespace {

/// An 'e' and up to 16 characters; those of real epochs are 8 (API §1), those of examples fewer.
bool is_epoch(std::string_view text) {
  return text.size() >= 2 && text.size() <= 17 && text.front() == 'e' &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

}  // namespace

std::string format_cursor(std::string_view epoch, raft::Position position) {
  return std::string(epoch) + '.' + std::to_string(position.value);
}

std::optional<Cursor> parse_cursor(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos || !is_epoch(text.substr(0, dot))) return std::nullopt;
  const auto position = parse_unsigned(text.substr(dot + 1));
  if (!position) return std::nullopt;
  return Cursor{std::string(text.substr(0, dot)), raft::Position{*position}};
}

std::string format_etag(std::string_view epoch, raft::Offset next) {
  return '"' + std::string(epoch) + '-' + std::to_string(next.value) + '"';
}

std::optional<EntityTag> parse_etag(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  const auto dash = text.find('-');
  if (dash == std::string_view::npos || !is_epoch(text.substr(0, dash))) return std::nullopt;
  const auto next = parse_unsigned(text.substr(dash + 1));
  if (!next) return std::nullopt;
  return EntityTag{std::string(text.substr(0, dash)), raft::Offset{*next}};
}

}  // namespace weir::broker::http
