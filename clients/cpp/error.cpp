#include "clients/cpp/error.hpp"

namespace weir::client {

std::string_view Problem::name() const {
  constexpr std::string_view kNamespace = "urn:weir:problem:";
  const std::string_view all = type;
  return all.starts_with(kNamespace) ? all.substr(kNamespace.size()) : all;
}

Error refusal(std::string_view context, Problem problem) {
  std::string text(context);
  if (!text.empty()) text += ": ";
  text += problem.title.empty() ? "status " + std::to_string(problem.status) : problem.title;
  if (!problem.detail.empty()) text += ": " + problem.detail;
  return Error{.code = errc::refused, .text = std::move(text), .problem = std::move(problem)};
}

}  // namespace weir::client
