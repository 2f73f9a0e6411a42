// What is fuzzed: every place where bytes of strangers are first understood (FAULTS 86-98). A target takes any bytes;
// it aborts, or a sanitizer speaks, when a promise is broken. Pure: no thread rule.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::fuzz {

struct Target {
  std::string_view name;
  void (*run)(std::string_view bytes);
  /// Inputs that reach far; mutation starts from these.
  std::vector<std::string> (*seeds)();
};

[[nodiscard]] std::span<const Target> targets();
/// Null if there is none of this name.
[[nodiscard]] const Target* find_target(std::string_view name);

// Frames of the peer port: what is decoded is encoded to bytes that decode to the same.
void run_peer_frame(std::string_view bytes);
std::vector<std::string> peer_frame_seeds();
// PUBLISH entries: what verifies can be read to the last byte and merged.
void run_publish_entry(std::string_view bytes);
std::vector<std::string> publish_entry_seeds();
// DEDUP and CONFIG entries.
void run_small_entries(std::string_view bytes);
std::vector<std::string> small_entries_seeds();
// A whole HTTP request: head, route, body.
void run_http_request(std::string_view bytes);
std::vector<std::string> http_request_seeds();
// JSON: what is taken is JSON for another parser too.
void run_json(std::string_view bytes);
std::vector<std::string> json_seeds();
// Chunked bodies: however they arrive, the same comes out.
void run_chunked(std::string_view bytes);
std::vector<std::string> chunked_seeds();
// Frames of weir.json.v1.
void run_ws_frame(std::string_view bytes);
std::vector<std::string> ws_frame_seeds();

/// Aborts with the text, in every build.
inline void promise(bool holds, const char* text) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", text);
  std::abort();
}

}  // namespace weir::fuzz
