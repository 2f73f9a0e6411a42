#include "broker/http/json_check.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cstdint>
#include <vector>

namespace weir::broker::http {

namespace {

/// Remembers the names of the objects that are open, and compares them when an object ends.
class DuplicateNames {
 public:
  void open() { objects_.push_back(names_.size()); }

  void part(std::string_view text) { text_ += text; }

  void end_of_name(std::string_view text) {
    text_ += text;
    names_.push_back({name_begin_, text_.size() - name_begin_});
    name_begin_ = text_.size();
  }

  /// False: a name was there twice.
  bool close() {
    const std::size_t first = objects_.back();
    objects_.pop_back();
    const auto begin = names_.begin() + static_cast<std::ptrdiff_t>(first);
    const std::size_t text_begin = begin == names_.end() ? text_.size() : begin->begin;
    std::sort(begin, names_.end(), [this](Name a, Name b) { return view(a) < view(b); });
    const auto twin = std::adjacent_find(begin, names_.end(), [this](Name a, Name b) { return view(a) == view(b); });
    const bool distinct = twin == names_.end();
    names_.resize(first);
    text_.resize(text_begin);
    name_begin_ = text_begin;
    return distinct;
  }

 private:
  struct Name {
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  [[nodiscard]] std::string_view view(Name name) const { return std::string_view(text_).substr(name.begin, name.size); }

  std::string text_;  ///< all names of the open objects, end to end
  std::size_t name_begin_ = 0;
  std::vector<Name> names_;
  std::vector<std::size_t> objects_;  ///< first name of each open object
};

/// Boost.JSON's handler interface; the events that carry nothing to check are empty.
struct CheckHandler {
  using Code = boost::json::error_code;
  using View = boost::json::string_view;
  static constexpr auto kAny = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_object_size = kAny;
  static constexpr std::size_t max_array_size = kAny;
  static constexpr std::size_t max_key_size = kAny;
  static constexpr std::size_t max_string_size = kAny;

  DuplicateNames names;
  bool duplicate = false;

  bool on_document_begin(Code& /*ec*/) { return true; }
  bool on_document_end(Code& /*ec*/) { return true; }
  bool on_array_begin(Code& /*ec*/) { return true; }
  bool on_array_end(std::size_t /*n*/, Code& /*ec*/) { return true; }
  bool on_object_begin(Code& /*ec*/) {
    names.open();
    return true;
  }
  bool on_object_end(std::size_t /*n*/, Code& ec) {
    duplicate = !names.close();
    if (duplicate) ec = make_error_code(boost::json::error::syntax);
    return !duplicate;
  }
  bool on_string_part(View /*s*/, std::size_t /*n*/, Code& /*ec*/) { return true; }
  bool on_string(View /*s*/, std::size_t /*n*/, Code& /*ec*/) { return true; }
  bool on_key_part(View s, std::size_t /*n*/, Code& /*ec*/) {
    names.part({s.data(), s.size()});
    return true;
  }
  bool on_key(View s, std::size_t /*n*/, Code& /*ec*/) {
    names.end_of_name({s.data(), s.size()});
    return true;
  }
  bool on_number_part(View /*s*/, Code& /*ec*/) { return true; }
  bool on_int64(std::int64_t /*i*/, View /*s*/, Code& /*ec*/) { return true; }
  bool on_uint64(std::uint64_t /*u*/, View /*s*/, Code& /*ec*/) { return true; }
  bool on_double(double /*d*/, View /*s*/, Code& /*ec*/) { return true; }
  bool on_bool(bool /*b*/, Code& /*ec*/) { return true; }
  bool on_null(Code& /*ec*/) { return true; }
  bool on_comment_part(View /*s*/, Code& /*ec*/) { return true; }
  bool on_comment(View /*s*/, Code& /*ec*/) { return true; }
};

}  // namespace

std::expected<void, std::string> check_json(std::string_view text, std::size_t depth_max) {
  boost::json::parse_options options;
  options.max_depth = depth_max;
  boost::json::basic_parser<CheckHandler> parser(options);
  boost::json::error_code ec;
  const std::size_t size = parser.write_some(false, text.data(), text.size(), ec);
  if (parser.handler().duplicate) {
    return std::unexpected("not JSON as taken here: a name is there twice in the object that ends at byte " +
                           std::to_string(size));
  }
  if (ec) return std::unexpected("not JSON at byte " + std::to_string(size) + ": " + ec.message());
  if (size < text.size()) return std::unexpected("not JSON: something follows at byte " + std::to_string(size));
  return {};
}

}  // namespace weir::broker::http
