#include "broker/http/base64.hpp"

#include <array>
#include <cstdint>

namespace weir::broker::http {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}
constexpr auto kDigits = make_digits();

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8U) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= count ? kAlphabet[(group >> (18U - 6U * j)) & 0x3fU] : '=';
    }
  }
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::string_view quad = text.substr(i, 4);
    if (i + 4 == text.size()) {
      while (quad.size() > 2 && quad.back() == '=') quad.remove_suffix(1);
    }
    std::uint32_t group = 0;
    for (const char c : quad) {
      const std::uint8_t digit = kDigits[static_cast<unsigned char>(c)];
      if (digit == kNoDigit) return std::nullopt;
      group = (group << 6U) | digit;
    }
    const std::size_t spare_bits = quad.size() * 6 % 8;
    if ((group & ((1U << spare_bits) - 1U)) != 0) return std::nullopt;
    group >>= spare_bits;
    for (std::size_t left = quad.size() - 1; left-- > 0;) {
      bytes += static_cast<char>(static_cast<unsigned char>(group >> (8U * left)));
    }
  }
  return bytes;
}

}  // namespace weir::broker::http
