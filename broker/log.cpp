#include "broker/log.hpp"

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <utility>

#include "storage/thread_start.hpp"

namespace weir::broker {
namespace {

/// Lines waiting for stderr. A start or an election writes some dozens at once; a slot is about half a KiB.
constexpr std::size_t kQueuedLinesMax = 1024;

constexpr std::string_view kHex = "0123456789abcdef";

void append_hex(std::string& out, unsigned char byte) {
  out += kHex[byte >> 4U];
  out += kHex[byte & 0xFU];
}

/// Control bytes, quotes, backslashes and everything beyond ASCII are escaped: one line stays one line.
void append_escaped(std::string& out, LogFormat format, std::string_view text) {
  const std::string_view kept = text.substr(0, kLogValueBytesMax);
  for (const char c : kept) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7F) {
      out += c;
    } else {
      out += format == LogFormat::json ? "\\u00" : "\\x";
      append_hex(out, byte);
    }
  }
  if (kept.size() < text.size()) out += "...";
}

[[nodiscard]] bool is_bare(std::string_view text) {
  if (text.empty() || text.size() > kLogValueBytesMax) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

void append_text_field(std::string& out, std::string_view key, std::string_view value) {
  if (!out.empty()) out += ' ';
  out += key;
  out += '=';
  if (is_bare(value)) {
    out += value;
    return;
  }
  out += '"';
  append_escaped(out, LogFormat::text, value);
  out += '"';
}

void append_json_field(std::string& out, const LogField& field) {
  if (!out.empty()) out += ',';
  out += '"';
  out += field.key;
  out += "\":";
  if (field.is_number) {
    out += field.value;
    return;
  }
  out += '"';
  append_escaped(out, LogFormat::json, field.value);
  out += '"';
}

[[nodiscard]] spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      break;
  }
  return spdlog::level::off;
}

[[nodiscard]] const char* pattern(LogFormat format) {
  return format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %v";
}

}  // namespace

struct Log::Writer {
  // Not spdlog's registry, which is global: this pool and this logger belong to this Log alone.
  std::shared_ptr<spdlog::details::thread_pool> pool =
      std::make_shared<spdlog::details::thread_pool>(kQueuedLinesMax, 1, [] { storage::begin_thread("weir-log"); });
  std::shared_ptr<spdlog::async_logger> logger = std::make_shared<spdlog::async_logger>(
      "weir", std::make_shared<spdlog::sinks::stderr_sink_mt>(), pool, spdlog::async_overflow_policy::overrun_oldest);
};

std::string_view to_string(LogLevel level) {
  constexpr std::array<std::string_view, 5> kNames{"debug", "info", "warn", "error", "off"};
  return kNames.at(static_cast<std::size_t>(level) - 1);
}

std::string_view to_string(LogFormat format) {
  return format == LogFormat::json ? "json" : "text";
}

std::expected<LogLevel, std::string> parse_log_level(std::string_view text) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error, LogLevel::off}) {
    if (text == to_string(level)) return level;
  }
  return std::unexpected("must be debug, info, warn, error or off");
}

std::expected<LogFormat, std::string> parse_log_format(std::string_view text) {
  for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
    if (text == to_string(format)) return format;
  }
  return std::unexpected("must be text or json");
}

std::string log_payload(LogFormat format, LogLevel level, std::string_view node, std::string_view text,
                        LogFields fields) {
  std::string out;
  if (format == LogFormat::json) {
    append_json_field(out, {"level", to_string(level)});
    append_json_field(out, {"node", node});
    append_json_field(out, {"msg", text});
    for (const LogField& field : fields) append_json_field(out, field);
    return out;
  }
  out += to_string(level);
  append_text_field(out, "node", node);
  append_text_field(out, "msg", text);
  for (const LogField& field : fields) append_text_field(out, field.key, field.value);
  return out;
}

Log::Log(LogLevel level, LogFormat format, std::string node) : level_(level), format_(format), node_(std::move(node)) {
  if (level == LogLevel::off) return;
  writer_ = std::make_unique<Writer>();
  writer_->logger->set_level(spdlog_level(level));
  writer_->logger->set_pattern(pattern(format), spdlog::pattern_time_type::utc);
  // A line that cannot be written (full disk, closed pipe) is lost; the broker goes on (FAULTS 84).
  writer_->logger->set_error_handler([](const std::string&) {});
}

// The pool first: its thread writes what is queued and ends, and then nobody else has the logger.
Log::~Log() {
  if (writer_) writer_->pool.reset();
}

void Log::write(LogLevel level, std::string_view text, LogFields fields) const {
  if (!writer_ || level < level_) return;
  const std::string payload = log_payload(format_, level, node_, text, fields);
  writer_->logger->log(spdlog_level(level), spdlog::string_view_t(payload.data(), payload.size()));
}

}  // namespace weir::broker
