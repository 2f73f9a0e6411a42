#include "clients/cli/text_format.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "clients/cpp/text.hpp"

namespace weir::cli {
namespace {

using client::utf8_character;

constexpr std::string_view kHex = "0123456789abcdef";

std::string hex_byte(unsigned char byte) {
  return std::string("\\x") + kHex[byte >> 4U] + kHex[byte & 15U];
}

char32_t code_point(std::string_view character) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(character[at]); };
  if (character.size() == 1) return byte(0);
  char32_t value = byte(0) & (0x7FU >> character.size());
  for (std::size_t i = 1; i < character.size(); ++i) value = (value << 6U) | (byte(i) & 0x3FU);
  return value;
}

/// Controls C0 and C1, line and paragraph separators, and the marks that change the direction of text.
bool is_unsafe(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x061C || point == 0x200E || point == 0x200F ||
         (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

std::string escaped_point(char32_t point) {
  if (point == '\n') return "\\n";
  if (point == '\r') return "\\r";
  if (point == '\t') return "\\t";
  if (point < 0x80) return hex_byte(static_cast<unsigned char>(point));
  std::array<char, 8> digits{};
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<std::uint32_t>(point), 16).ptr;
  return "\\u{" + std::string(digits.data(), end) + "}";
}

std::string or_dash(std::string_view text) {
  return text.empty() ? "-" : escape(text);
}

std::string or_dash(std::optional<std::uint64_t> number) {
  return number ? std::to_string(*number) : "-";
}

std::string fixed(double value, int digits) {
  std::array<char, 64> out{};
  const auto end = std::to_chars(out.data(), out.data() + out.size(), value, std::chars_format::fixed, digits).ptr;
  return {out.data(), end};
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_character(text);
    const auto character = text.substr(0, std::max<std::size_t>(length, 1));
    if (length == 0)
      out += hex_byte(static_cast<unsigned char>(text.front()));
    else if (const auto point = code_point(character); is_unsafe(point))
      out += escaped_point(point);
    else
      out += character;
    text.remove_prefix(character.size());
  }
  return out;
}

std::string milliseconds_text(std::chrono::nanoseconds time) {
  const double ms = std::chrono::duration<double, std::milli>(time).count();
  return fixed(ms, ms < 99.95 ? 1 : 0) + " ms";
}

std::string time_of_day(std::string_view rfc3339) {
  const auto t = rfc3339.find('T');
  if (t == std::string_view::npos || rfc3339.size() < t + 9) return escape(rfc3339);
  return escape(rfc3339.substr(t + 1, 8));
}

std::string published_line(const client::Published& published, std::chrono::nanoseconds took) {
  std::string line = escape(published.topic) + " " + std::to_string(published.offset);
  if (published.duplicate) {
    line += " duplicate";
    if (!published.time.empty()) line += " of " + time_of_day(published.time);
    return line + " " + or_dash(published.id) + "\n";
  }
  return line + " stored " + or_dash(published.id) + " " + milliseconds_text(took) + "\n";
}

std::string published_json(const client::Published& published) {
  using client::json_quoted;
  const auto optional = [](const std::string& text) { return text.empty() ? "null" : json_quoted(text); };
  return "{\"topic\":" + json_quoted(published.topic) + ",\"offset\":" + std::to_string(published.offset) +
         ",\"position\":" + std::to_string(published.position) + ",\"cursor\":" + optional(published.cursor) +
         ",\"id\":" + optional(published.id) + ",\"time\":" + optional(published.time) +
         ",\"duplicate\":" + (published.duplicate ? "true" : "false") + "}\n";
}

std::string event_line(const client::ReceivedEvent& event) {
  return escape(event.topic) + " " + std::to_string(event.offset) + " " + or_dash(event.id.value_or("")) + " " +
         escape(event.data) + "\n";
}

void Table::add(std::vector<std::string> cells, Paint paint) {
  rows_.push_back({std::move(cells), paint});
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = columns_[c].name.size();
    for (const auto& row : rows_) width = std::max(width, row.cells[c].size());
    widths.push_back(width);
  }
  const auto line = [&](const auto& cell) {
    std::string out;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const std::string& text = cell(c);
      const std::string space(widths[c] - text.size(), ' ');
      if (c > 0) out += "  ";
      out += columns_[c].align == Align::right ? space + text : text + space;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
  };
  std::string out = line([&](std::size_t c) -> const std::string& { return columns_[c].name; }) + "\n";
  for (const auto& row : rows_) {
    const auto text = line([&](std::size_t c) -> const std::string& { return row.cells[c]; });
    if (row.paint == Paint::none)
      out += text + "\n";
    else
      out += (row.paint == Paint::green ? "\x1b[32m" : "\x1b[31m") + text + "\x1b[0m\n";
  }
  return out;
}

std::string topics_table(const std::vector<client::TopicView>& topics) {
  using enum Table::Align;
  Table table({{"TOPIC", left}, {"FIRST", right}, {"NEXT", right}, {"EVENTS", right}, {"LAST", left}});
  for (const auto& topic : topics) {
    table.add({escape(topic.topic), std::to_string(topic.first_offset), std::to_string(topic.next_offset),
               std::to_string(topic.events), or_dash(topic.last_time)});
  }
  return table.text();
}

namespace {

/// "a/0", "a/-" before it is applied, "a/dup" when it changed nothing, "a/0 +41" for the first of 42.
std::string place_of(const client::RaftEntryView& entry) {
  if (entry.events.empty()) return "-";
  const auto& first = entry.events.front();
  std::string place = escape(first.topic) + "/";
  place += first.duplicate ? "dup" : or_dash(first.offset);
  return entry.event_count > 1 ? place + " +" + std::to_string(entry.event_count - 1) : place;
}

}  // namespace

std::string raft_log_table(const std::vector<client::RaftEntryView>& entries) {
  using enum Table::Align;
  Table table({{"INDEX", right},
               {"TERM", right},
               {"COMMAND", left},
               {"TOPIC/OFFSET", left},
               {"ID", left},
               {"BYTES", right},
               {"STATE", left}});
  for (const auto& entry : entries) {
    table.add({std::to_string(entry.index), std::to_string(entry.term), or_dash(entry.command), place_of(entry),
               entry.events.empty() ? "-" : or_dash(entry.events.front().id), std::to_string(entry.bytes),
               or_dash(entry.state)});
  }
  return table.text();
}

namespace {

/// "12 s", "3 m", "5 h", "2 d": the largest unit that fits.
std::string uptime_text(std::uint64_t ms) {
  const auto seconds = ms / 1000;
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7'200) return std::to_string(seconds / 60) + "m";
  if (seconds < 172'800) return std::to_string(seconds / 3'600) + "h";
  return std::to_string(seconds / 86'400) + "d";
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fixed(value, unit == 0 ? 0 : 1) + " " + std::string(kUnits[unit]);
}

std::string lag_text(const client::MemberView& member, const StatusRow* leader) {
  if (leader == nullptr || !leader->member.last_index || !member.last_index) return "-";
  const std::uint64_t last = *leader->member.last_index;
  return std::to_string(last > *member.last_index ? last - *member.last_index : 0);
}

}  // namespace

std::string cluster_table(const std::vector<StatusRow>& rows, Colour colour) {
  using enum Table::Align;
  Table table({{"NODE", left},
               {"ROLE", left},
               {"TERM", right},
               {"LAST", right},
               {"COMMIT", right},
               {"APPLIED", right},
               {"LAG", right},
               {"FSYNC-P99", right},
               {"DISK", right},
               {"UP", left}});
  // Of several that call themselves leader the one with the highest term is; the others have not heard of it yet.
  const StatusRow* leader = nullptr;
  for (const auto& row : rows) {
    const bool claims = row.answers && row.member.role == "leader";
    if (claims && (leader == nullptr || row.member.term > leader->member.term)) leader = &row;
  }
  for (const auto& row : rows) {
    const auto& member = row.member;
    const auto paint = !row.answers ? Table::Paint::red : &row == leader ? Table::Paint::green : Table::Paint::none;
    const auto p99 = member.fsync_p99_us.transform(
        [](std::uint64_t us) { return milliseconds_text(std::chrono::microseconds(us)); });
    table.add({or_dash(member.node) + (&row == leader ? "*" : ""), or_dash(member.role), or_dash(member.term),
               or_dash(member.last_index), or_dash(member.commit_index), or_dash(member.applied_index),
               lag_text(member, leader), p99.value_or("-"), member.disk_bytes ? bytes_text(*member.disk_bytes) : "-",
               !row.answers       ? "no"
               : member.uptime_ms ? uptime_text(*member.uptime_ms)
                                  : "yes"},
              colour == Colour::on ? paint : Table::Paint::none);
  }
  return table.text();
}

}  // namespace weir::cli
