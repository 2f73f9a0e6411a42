#include "clients/cli/id_template.hpp"

#include <algorithm>

namespace weir::cli {
namespace {

std::string hex16(std::uint64_t value) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4U) out[i] = "0123456789abcdef"[value & 15U];
  return out;
}

}  // namespace

std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

std::expected<IdTemplate, std::string> IdTemplate::parse(std::string_view text) {
  IdTemplate result;
  std::string literal;
  const auto finish_literal = [&] {
    if (!literal.empty()) result.parts_.push_back({Kind::literal, literal});
    literal.clear();
  };
  while (!text.empty()) {
    if (text.starts_with("{{") || text.starts_with("}}")) {
      literal += text.front();
      text.remove_prefix(2);
    } else if (text.front() == '{') {
      const auto end = text.find('}');
      const auto name = text.substr(0, end == std::string_view::npos ? text.size() : end + 1);
      if (name != "{line}" && name != "{hash}") {
        return std::unexpected("'" + std::string(name) + "' is neither {line} nor {hash}");
      }
      finish_literal();
      result.parts_.push_back({name == "{line}" ? Kind::line : Kind::hash, {}});
      text.remove_prefix(name.size());
    } else {
      literal += text.front();
      text.remove_prefix(1);
    }
  }
  finish_literal();
  const bool varies = std::ranges::any_of(result.parts_, [](const Part& part) { return part.kind != Kind::literal; });
  if (!varies) return std::unexpected("it names neither {line} nor {hash}: all lines would have one id");
  return result;
}

std::string IdTemplate::id_of(std::uint64_t line_number, std::string_view line) const {
  std::string id;
  for (const auto& part : parts_) {
    if (part.kind == Kind::literal)
      id += part.text;
    else
      id += part.kind == Kind::line ? std::to_string(line_number) : hex16(fnv1a(line));
  }
  return id;
}

}  // namespace weir::cli
