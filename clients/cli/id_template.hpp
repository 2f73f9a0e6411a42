#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

/// 64-bit FNV-1a: short, and the same for ever, because ids made with it are compared with ids made years before.
[[nodiscard]] std::uint64_t fnv1a(std::string_view bytes);

/// Makes an id from a line: `{line}` is its number from 1, `{hash}` the FNV-1a of its bytes in 16 hex digits. `{{` and
/// `}}` stand for braces.
class IdTemplate {
 public:
  /// An error names what is wrong: an unknown name, an open brace, or a template that gives every line the same id.
  [[nodiscard]] static std::expected<IdTemplate, std::string> parse(std::string_view text);

  [[nodiscard]] std::string id_of(std::uint64_t line_number, std::string_view line) const;

 private:
  enum class Kind { literal, line, hash };
  struct Part {
    Kind kind;
    std::string text;
  };
  std::vector<Part> parts_;
};

}  // namespace weir::cli
