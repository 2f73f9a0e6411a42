#include "broker/http/time_text.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace weir::broker::http {

namespace {

void append_digits(std::string& out, std::uint64_t value, int digits) {
  std::string text(static_cast<std::size_t>(digits), '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, value /= 10) {
    *digit = static_cast<char>('0' + value % 10);
  }
  out += text;
}

/// `digits` digits, then `separator` (0 = none), off the front of `text`.
std::optional<unsigned> take(std::string_view& text, std::size_t digits, char separator) {
  const std::size_t size = digits + (separator == 0 ? 0 : 1);
  if (text.size() < size || (separator != 0 && text[digits] != separator)) return std::nullopt;
  unsigned value = 0;
  const std::string_view number = text.substr(0, digits);
  const auto [end, ec] = std::from_chars(number.begin(), number.end(), value);
  if (ec != std::errc{} || end != number.end()) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

/// `.123456` off the front, if it is there: milliseconds.
std::optional<unsigned> take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return 0;
  text.remove_prefix(1);
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0) return std::nullopt;
  unsigned ms = 0;
  for (std::size_t i = 0; i < 3; ++i) ms = ms * 10 + (i < digits ? static_cast<unsigned>(text[i] - '0') : 0U);
  text.remove_prefix(digits);
  return ms;
}

/// `Z` or `+01:00`, to the end of `text`: minutes ahead of UTC.
std::optional<int> take_zone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (!text.starts_with('+') && !text.starts_with('-')) return std::nullopt;
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = take(text, 2, ':');
  const auto minutes = hours ? take(text, 2, 0) : std::nullopt;
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * static_cast<int>(*hours * 60 + *minutes);
}

}  // namespace

void append_time(std::string& out, std::uint64_t ms_since_1970) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds{static_cast<std::int64_t>(ms_since_1970)}};
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  append_digits(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_digits(out, static_cast<std::uint64_t>(clock.hours().count()), 2);
  out += ':';
  append_digits(out, static_cast<std::uint64_t>(clock.minutes().count()), 2);
  out += ':';
  append_digits(out, static_cast<std::uint64_t>(clock.seconds().count()), 2);
  out += '.';
  append_digits(out, static_cast<std::uint64_t>(clock.subseconds().count()), 3);
  out += 'Z';
}

std::string format_time(std::uint64_t ms_since_1970) {
  std::string text;
  append_time(text, ms_since_1970);
  return text;
}

std::optional<std::uint64_t> parse_time(std::string_view text) {
  using namespace std::chrono;
  const auto year = take(text, 4, '-');
  const auto month = year ? take(text, 2, '-') : std::nullopt;
  const auto day = month ? take(text, 2, 0) : std::nullopt;
  if (!day || text.empty() || !std::string_view("Tt ").contains(text.front())) return std::nullopt;
  text.remove_prefix(1);
  const auto hour = take(text, 2, ':');
  const auto minute = hour ? take(text, 2, ':') : std::nullopt;
  const auto second = minute ? take(text, 2, 0) : std::nullopt;
  const auto ms = second ? take_fraction(text) : std::nullopt;
  const auto zone = ms ? take_zone(text) : std::nullopt;
  if (!zone || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const year_month_day date{std::chrono::year{static_cast<int>(*year)}, std::chrono::month{*month},
                            std::chrono::day{*day}};
  if (!date.ok()) return std::nullopt;
  const auto time = sys_days{date}.time_since_epoch() + hours{*hour} + minutes{static_cast<int>(*minute) - *zone} +
                    seconds{*second} + milliseconds{*ms};
  const auto count = duration_cast<milliseconds>(time).count();
  if (count < 0) return std::nullopt;
  return static_cast<std::uint64_t>(count);
}

}  // namespace weir::broker::http
