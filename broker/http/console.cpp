// The console: one page, its style and its script, compiled in. It talks to this broker's own routes and nothing else.
#include <string_view>

#include "broker/http/problem.hpp"
#include "broker/http/routes.hpp"

namespace weir::broker::http {

namespace {

constexpr std::string_view kPage =
#include "broker/http/console/page.inc"
    ;
constexpr std::string_view kStyle =
#include "broker/http/console/style.inc"
    ;
constexpr std::string_view kScript =
#include "broker/http/console/script.inc"
    ;

Response file(std::string_view type, std::string_view text) {
  Response response{.content_type = std::string(type), .body = std::string(text)};
  // Nothing inline, nothing from elsewhere: a payload that is shown stays text.
  response.add_header("Content-Security-Policy",
                      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                      "form-action 'none'; frame-ancestors 'none'; base-uri 'none'");
  response.add_header("Cache-Control", "no-cache").add_header("Referrer-Policy", "no-referrer");
  return response;
}

}  // namespace

Response console_response(const std::string& name) {
  if (name.empty()) return file("text/html; charset=utf-8", kPage);
  if (name == "style.css") return file("text/css; charset=utf-8", kStyle);
  if (name == "script.js") return file("text/javascript; charset=utf-8", kScript);
  return to_response(not_found("the console is at /ui/"));
}

}  // namespace weir::broker::http
