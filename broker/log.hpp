// Log lines on stderr: `<time> <level> node=n1 msg="..." key=value ...`, or one JSON object a line.
// Thread-safe; never blocks the caller: a thread of its own writes from a bounded queue, and when stderr takes nothing
// the oldest lines are lost, not the broker. Outlives everything that logs.
#pragma once

#include <concepts>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace weir::broker {

enum class LogLevel : std::uint8_t { debug = 1, info = 2, warn = 3, error = 4, off = 5 };
enum class LogFormat : std::uint8_t { text = 1, json = 2 };

[[nodiscard]] std::string_view to_string(LogLevel level);
[[nodiscard]] std::string_view to_string(LogFormat format);
[[nodiscard]] std::expected<LogLevel, std::string> parse_log_level(std::string_view text);
[[nodiscard]] std::expected<LogFormat, std::string> parse_log_format(std::string_view text);

/// `key=value` of a line. Text is escaped when the line is written: it may come from a peer (FAULTS 114).
struct LogField {
  LogField(std::string_view name, std::string_view text) : key(name), value(text), is_number(false) {}
  LogField(std::string_view name, const char* text) : key(name), value(text), is_number(false) {}
  LogField(std::string_view name, std::integral auto number)
      : key(name), value(std::to_string(number)), is_number(true) {}

  std::string_view key;
  std::string value;
  bool is_number;
};
using LogFields = std::initializer_list<LogField>;

/// Longer values are cut: a peer's refusal must not fill the disk.
inline constexpr std::size_t kLogValueBytesMax = 512;

/// What stands after the time (text), or inside the braces after it (JSON).
[[nodiscard]] std::string log_payload(LogFormat format, LogLevel level, std::string_view node, std::string_view text,
                                      LogFields fields);

class Log {
 public:
  Log(LogLevel level, LogFormat format, std::string node);
  /// Writes what is queued.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void debug(std::string_view text, LogFields fields = {}) const { write(LogLevel::debug, text, fields); }
  void info(std::string_view text, LogFields fields = {}) const { write(LogLevel::info, text, fields); }
  void warn(std::string_view text, LogFields fields = {}) const { write(LogLevel::warn, text, fields); }
  void error(std::string_view text, LogFields fields = {}) const { write(LogLevel::error, text, fields); }
  void write(LogLevel level, std::string_view text, LogFields fields) const;

 private:
  struct Writer;
  LogLevel level_;
  LogFormat format_;
  std::string node_;
  std::unique_ptr<Writer> writer_;  ///< none when the level is off
};

}  // namespace weir::broker
