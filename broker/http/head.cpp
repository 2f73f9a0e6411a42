#include "broker/http/head.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace weir::broker::http {

namespace {

std::unexpected<HeadError> refuse(unsigned status, std::string text) {
  return std::unexpected(HeadError{status, std::move(text)});
}

/// RFC 9110 §5.5, without obs-fold: no control characters but tab. Bytes above 127 are opaque and allowed.
bool is_field_value(std::string_view value) {
  return std::ranges::all_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

/// Fields of which a second one would leave it open which of the two holds.
bool must_be_single(std::string_view name) {
  constexpr std::array<std::string_view, 22> kSingle = {"authorization",
                                                        "content-length",
                                                        "content-type",
                                                        "date",
                                                        "expect",
                                                        "host",
                                                        "idempotency-key",
                                                        "if-match",
                                                        "if-none-match",
                                                        "last-event-id",
                                                        "origin",
                                                        "prefer",
                                                        "sec-websocket-key",
                                                        "sec-websocket-version",
                                                        "traceparent",
                                                        "transfer-encoding",
                                                        "upgrade",
                                                        "user-agent",
                                                        "weir-id",
                                                        "weir-key",
                                                        "max-forwards",
                                                        "content-encoding"};
  return name.starts_with("ce-") || std::ranges::find(kSingle, name) != kSingle.end();
}

std::expected<void, HeadError> parse_target(std::string_view target, Request& request) {
  const auto visible = [](char c) { return c > 0x20 && c < 0x7f; };
  if (target.empty() || !std::ranges::all_of(target, visible)) {
    return refuse(400, "the request target holds a character that must be percent-encoded");
  }
  if (target.contains('#')) return refuse(400, "the request target holds a '#'; write %23, or ** in a pattern");
  constexpr std::string_view kScheme = "http://";
  if (target.starts_with(kScheme)) {  // absolute form: the path behind the authority counts
    target.remove_prefix(kScheme.size());
    const auto slash = target.find('/');
    if (slash == std::string_view::npos) return refuse(400, "the request target has no path");
    if (request.field("host") != target.substr(0, slash)) return refuse(400, "Host and request target differ");
    target.remove_prefix(slash);
  }
  const bool asterisk = target == "*" && request.method == Method::options;
  if (!asterisk && !target.starts_with('/')) return refuse(400, "the request target must begin with '/'");
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  return {};
}

/// Method and version now; the target is returned for later, when Host is known.
std::expected<std::string_view, HeadError> parse_request_line(std::string_view line, Request& request) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "the request line is not HTTP");
  const std::string_view method = line.substr(0, first);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return refuse(400, "the method is not a token");
  if (version == "HTTP/1.1") {
    request.version = Version::http_1_1;
  } else if (version == "HTTP/1.0") {
    request.version = Version::http_1_0;
  } else {
    return refuse(version.starts_with("HTTP/") ? 505 : 400, "this port speaks HTTP/1.1");
  }
  request.method = parse_method(method);
  request.method_text = method;
  return line.substr(first + 1, last - first - 1);
}

std::expected<void, HeadError> parse_field(std::string_view line, Request& request) {
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "folded header lines are not accepted");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return refuse(400, "a header line is not of the form 'name: value' (no space before the colon)");
  }
  const std::string_view value = trim(line.substr(colon + 1));
  if (!is_field_value(value)) return refuse(400, "a header value holds a control character");
  std::string name = to_lower(line.substr(0, colon));
  if (must_be_single(name) && request.field(name)) return refuse(400, "two '" + name + "' headers");
  request.fields.push_back({std::move(name), std::string(value)});
  return {};
}

std::expected<void, HeadError> judge_framing(Request& request) {
  const auto length = request.field("content-length");
  const auto coding = request.field("transfer-encoding");
  if (length && coding) return refuse(400, "Content-Length and Transfer-Encoding together");
  if (coding) {
    if (!equal_ignoring_case(*coding, "chunked")) return refuse(400, "the only Transfer-Encoding known is 'chunked'");
    if (request.version == Version::http_1_0) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    request.framing = BodyCoding::chunked;
  }
  if (length) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(length->data(), length->data() + length->size(), value);
    if (ec == std::errc::result_out_of_range) return refuse(413, "Content-Length is beyond every limit");
    if (length->empty() || ec != std::errc{} || end != length->data() + length->size()) {
      return refuse(400, "Content-Length is not a number");
    }
    request.framing = value == 0 ? BodyCoding::none : BodyCoding::length;
    request.content_length = value;
  }
  return {};
}

std::expected<void, HeadError> judge(const Request& request) {
  const auto host = request.field("host");
  if (!host && request.version == Version::http_1_1) return refuse(400, "no Host header");
  if (host && !std::ranges::all_of(*host, [](char c) {
        return c > 0x20 && c < 0x7f && !std::string_view("/\\@?#\"<>,;").contains(c);
      })) {
    return refuse(400, "the Host header is not host[:port]");
  }
  const auto expect = request.field("expect");
  if (expect && !equal_ignoring_case(*expect, "100-continue")) {
    return refuse(417, "the only Expect known is 100-continue");
  }
  if (const auto coding = request.field("content-encoding"); coding && !equal_ignoring_case(*coding, "identity")) {
    return refuse(415, "Content-Encoding is not supported; send the body as it is");
  }
  return {};
}

}  // namespace

std::expected<std::optional<std::size_t>, HeadError> find_head_end(std::string_view bytes, const HeadLimits& limits) {
  // A TLS hello, or any other protocol, shows in the first byte; waiting for a line end would only hold the connection.
  if (!bytes.empty() && (bytes.front() < 'A' || bytes.front() > 'Z')) {
    return refuse(400, "this port speaks plain HTTP/1.1");
  }
  if (const auto feed = bytes.find('\n'); feed != std::string_view::npos && bytes[feed - 1] != '\r') {
    return refuse(400, "lines end in CR LF");
  }
  const auto line_end = bytes.find("\r\n");
  if (std::min(line_end, bytes.size()) > limits.request_line_bytes_max) {
    return refuse(414, "the request line is longer than " + std::to_string(limits.request_line_bytes_max) + " bytes");
  }
  const auto end = bytes.find("\r\n\r\n");
  if (std::min(end, bytes.size()) > limits.header_bytes_max) {
    return refuse(431, "the header is longer than " + std::to_string(limits.header_bytes_max) + " bytes");
  }
  if (end == std::string_view::npos) return std::nullopt;
  return end + 4;
}

std::expected<Request, HeadError> parse_head(std::string_view head, const HeadLimits& limits) {
  Request request;
  std::optional<std::string_view> target;
  head.remove_suffix(2);  // the empty line
  while (!head.empty()) {
    const auto end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
      return refuse(400, "a bare CR, LF or NUL in the header");
    }
    if (!target) {
      const auto parsed = parse_request_line(line, request);
      if (!parsed) return std::unexpected(parsed.error());
      target = *parsed;
      continue;
    }
    if (request.fields.size() == limits.headers_max) {
      return refuse(431, "more than " + std::to_string(limits.headers_max) + " headers");
    }
    if (auto parsed = parse_field(line, request); !parsed) return std::unexpected(std::move(parsed.error()));
  }
  if (auto judged = judge(request); !judged) return std::unexpected(std::move(judged.error()));
  if (auto framed = judge_framing(request); !framed) return std::unexpected(std::move(framed.error()));
  if (auto parsed = parse_target(*target, request); !parsed) return std::unexpected(std::move(parsed.error()));
  return request;
}

}  // namespace weir::broker::http
