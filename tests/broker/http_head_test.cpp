// Hostile and honest request heads, byte by byte (FAULTS 90-93, 100).
#include <gtest/gtest.h>

#include <string>

#include "broker/http/chunked.hpp"
#include "broker/http/head.hpp"

namespace weir::broker::http {
namespace {

using namespace std::string_literals;

std::expected<Request, HeadError> parse(const std::string& text, HeadLimits limits = {}) {
  const auto end = find_head_end(text, limits);
  if (!end) return std::unexpected(end.error());
  if (!*end) return std::unexpected(HeadError{0, "more"});
  return parse_head(std::string_view(text).substr(0, **end), limits);
}

unsigned status_of(const std::string& text) {
  const auto parsed = parse(text);
  return parsed ? 200 : parsed.error().status;
}

TEST(Head, IsTakenApart) {
  const auto request = parse(
      "POST /v1/events/a%20b?id=1&x HTTP/1.1\r\nHost: localhost:7400\r\nContent-Type:\t text/plain \r\n"
      "Content-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(request) << request.error().text;
  EXPECT_EQ(request->method, Method::post);
  EXPECT_EQ(request->path, "/v1/events/a%20b");
  EXPECT_EQ(request->query, "id=1&x");
  EXPECT_EQ(request->field("content-type"), "text/plain");
  EXPECT_EQ(request->framing, BodyCoding::length);
  EXPECT_EQ(request->content_length, 5U);
  EXPECT_TRUE(request->keep_alive());
}

TEST(Head, WaitsForItsEndAtEveryCut) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto end = find_head_end(std::string_view(text).substr(0, size), {});
    ASSERT_TRUE(end) << size << ": " << end.error().text;
    EXPECT_FALSE(*end) << size;
  }
  EXPECT_EQ(find_head_end(text, {}).value(), text.size());
}

TEST(Head, ConnectionCloseAndHttp10EndIt) {
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n")->keep_alive());
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n")->keep_alive());
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->keep_alive());
}

TEST(Head, AbsoluteFormCountsAsItsPath) {
  EXPECT_EQ(parse("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n")->path, "/x");
  EXPECT_EQ(status_of("GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
}

TEST(Head, Fault90SmugglingIsRefused) {
  const std::string post = "POST /x HTTP/1.1\r\nHost: a\r\n";
  for (const std::string& headers : {
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"s,
           "Content-Length: 5\r\nContent-Length: 5\r\n"s,
           "Content-Length: 5, 5\r\n"s,
           "Content-Length: +5\r\n"s,
           "Content-Length: 0x5\r\n"s,
           "Content-Length: \r\n"s,
           "Content-Length: 5 5\r\n"s,
           "Transfer-Encoding: chunked, identity\r\n"s,
           "Transfer-Encoding: identity\r\n"s,
           "Transfer-Encoding: xchunked\r\n"s,
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"s,
           "Transfer-Encoding:\x0b"s
           "chunked\r\n"s,
           "Transfer-Encoding : chunked\r\n"s,
           "Content-Length : 5\r\n"s,
           "X: a\r\n folded\r\n"s,
           "X: a\r\n\tfolded\r\n"s,
           " X: a\r\n"s,
           "X: a\0b\r\n"s,
           "X: a\rb\r\n"s,
           "X: a\nContent-Length: 5\r\n"s,
           "X: a\x7f\r\n"s,
           "X\0: a\r\n"s,
           "no colon\r\n"s,
           ": no name\r\n"s,
           "Host: b\r\n"s,
       }) {
    EXPECT_EQ(status_of(post + headers + "\r\n"), 400U) << headers;
  }
  EXPECT_EQ(status_of("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\n\r\n"), 400U) << "no Host";
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\nHost: a\n\n"), 400U) << "bare LF";
}

TEST(Head, Fault90UnknownExpectIsRefused) {
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"), 200U);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n"), 417U);
}

TEST(Head, Fault91LengthsBeyondEverythingAreRefused) {
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"), 413U);
}

TEST(Head, Fault92LimitsHaveTheirOwnStatus) {
  EXPECT_EQ(status_of("GET /" + std::string(std::size_t{1} << 20U, 'a')), 414U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(std::size_t{1} << 20U, 'a')), 431U);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 64; ++i) many += "X" + std::to_string(i) + ": y\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), 431U);
}

TEST(Head, Fault92ExactlyAtTheLimitPasses) {
  const std::string rest = " HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::size_t path = 4096 - std::string_view("GET  HTTP/1.1").size();
  EXPECT_EQ(status_of("GET /" + std::string(path - 1, 'a') + rest), 200U);
  EXPECT_EQ(status_of("GET /" + std::string(path, 'a') + rest), 414U);
}

TEST(Head, Fault100OtherProtocolsShowInTheFirstByte) {
  EXPECT_EQ(status_of("\x16\x03\x01\x02"s), 400U) << "TLS hello";
  EXPECT_EQ(status_of("\0\0\0\x10"s), 400U) << "peer frame";
  EXPECT_EQ(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505U);
  EXPECT_EQ(status_of("GET / HTTP/3\r\nHost: a\r\n\r\n"), 505U);
  EXPECT_EQ(status_of("GET /\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
}

struct Decoded {
  unsigned status = 0;
  std::string body;
  std::string rest;
};

/// Fed in pieces of `step` bytes, as a slow client would.
Decoded decode(const std::string& bytes, std::size_t step, std::size_t body_bytes_max = 100) {
  ChunkDecoder decoder(body_bytes_max);
  Decoded decoded;
  std::string unread;
  for (std::size_t at = 0; at < bytes.size() && !decoder.done(); at += step) {
    unread += bytes.substr(at, step);
    const auto taken = decoder.decode(unread, decoded.body);
    if (!taken) return {taken.error().status, decoded.body, {}};
    unread.erase(0, *taken);
  }
  decoded.status = decoder.done() ? 200 : 0;
  decoded.rest = unread;
  return decoded;
}

TEST(Chunked, BodyIsTheSameHoweverItArrives) {
  const std::string bytes = "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const Decoded decoded = decode(bytes, step);
    EXPECT_EQ(decoded.status, 200U) << step;
    EXPECT_EQ(decoded.body, "hello world") << step;
    EXPECT_EQ(decoded.rest, "");
  }
}

TEST(Chunked, WhatFollowsIsLeftAlone) {
  EXPECT_EQ(decode("0\r\n\r\nGET / HTTP/1.1\r\n", 100).rest, "GET / HTTP/1.1\r\n");
}

TEST(Chunked, Fault91IsBounded) {
  EXPECT_EQ(decode("64\r\n" + std::string(100, 'a') + "\r\n0\r\n\r\n", 7).status, 200U);
  EXPECT_EQ(decode("65\r\n", 100).status, 413U);
  EXPECT_EQ(decode("32\r\n" + std::string(50, 'a') + "\r\n33\r\n", 100).status, 413U);
  EXPECT_EQ(decode("ffffffffffffffffff\r\n", 100).status, 413U);
  EXPECT_EQ(decode("1;" + std::string(std::size_t{1} << 20U, 'x'), 4096).status, 400U) << "1 MiB extension";
  EXPECT_EQ(decode("0\r\n" + std::string(std::size_t{1} << 20U, 'x'), 4096).status, 400U) << "1 MiB trailer";
}

TEST(Chunked, Fault90IsStrict) {
  for (const std::string& bytes : {"\r\n"s, "-1\r\n"s, "x\r\n"s, " 1\r\na\r\n"s, "1 \r\na\r\n"s, "0x1\r\na\r\n"s,
                                   "1\nab\r\n"s, "1\r\nab\r\n0\r\n\r\n"s, "1;\0\r\na\r\n"s}) {
    EXPECT_EQ(decode(bytes, bytes.size()).status, 400U) << bytes;
  }
}

}  // namespace
}  // namespace weir::broker::http
