// FlatBuffers with guard rails: how this folder verifies, aligns and takes over buffers. Private to wire/*.cpp.
// Values only: no thread rule.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/types.hpp"
#include "wire/error.hpp"

namespace weir::wire {

// Columns are read and written as arrays of native numbers.
static_assert(std::endian::native == std::endian::little, "wire/ reads little-endian numbers in place");

/// FlatBuffers align up to their largest scalar, 8 bytes here, relative to their first byte.
inline constexpr std::size_t kAlignment = 8;

constexpr std::size_t padded(std::size_t size) {
  return (size + kAlignment - 1) & ~(kAlignment - 1);
}

/// The same bytes at an address divisible by 8: themselves where they lie well (a frame's buffer, an overflow page of
/// LMDB), otherwise a copy. Reading a misaligned number in place would be undefined behaviour.
[[nodiscard]] raft::Bytes aligned(raft::Bytes data);

/// Takes over a finished builder's buffer without a copy.
[[nodiscard]] raft::Bytes release(flatbuffers::FlatBufferBuilder& builder);

/// A finished builder's bytes, which stay its own.
[[nodiscard]] std::string_view finished(const flatbuffers::FlatBufferBuilder& builder);

/// A vector of `count` elements, which the caller fills through `elements` before anything else is built.
template <class T>
[[nodiscard]] flatbuffers::Offset<flatbuffers::Vector<T>> unfilled_vector(flatbuffers::FlatBufferBuilder& builder,
                                                                          std::size_t count, T*& elements);

/// What the verifier may meet before it gives up. Every visit of a table counts, so tables that share children cannot
/// make it work without end.
struct VerifyLimits {
  flatbuffers::uoffset_t depth = 1;
  flatbuffers::uoffset_t tables = 1;
};

[[nodiscard]] flatbuffers::Verifier verifier(std::string_view bytes, VerifyLimits limits);

/// The root of a FlatBuffer that fills `bytes`, or nullptr if the verifier refuses it. Requires aligned bytes and a
/// size below 2 GiB.
template <class Table>
[[nodiscard]] const Table* verified(std::string_view bytes, VerifyLimits limits) {
  auto check = verifier(bytes, limits);
  return check.VerifyBuffer<Table>(nullptr) ? flatbuffers::GetRoot<Table>(bytes.data()) : nullptr;
}

/// The same for a size-prefixed FlatBuffer with a file identifier.
template <class Table>
[[nodiscard]] const Table* verified_prefixed(std::string_view bytes, const char* identifier, VerifyLimits limits) {
  // The prefix, the root's offset and the identifier: FlatBuffers 2.0.8 compares the identifier without looking whether
  // there are so many bytes after a prefix.
  if (bytes.size() < 3 * sizeof(std::uint32_t)) return nullptr;
  auto check = verifier(bytes, limits);
  return check.VerifySizePrefixedBuffer<Table>(identifier) ? flatbuffers::GetSizePrefixedRoot<Table>(bytes.data())
                                                           : nullptr;
}

/// The elements of a verified vector; empty if there is none. The verifier looks at the alignment of a vector's length
/// only: `well_placed` must hold before 8-byte elements are read.
template <class T>
[[nodiscard]] std::span<const T> elements(const flatbuffers::Vector<T>* vector) {
  if (vector == nullptr) return {};
  return {reinterpret_cast<const T*>(vector->Data()), vector->size()};
}

[[nodiscard]] bool well_placed(const void* vector_data, std::size_t alignment);

[[nodiscard]] std::string_view blob_of(const flatbuffers::Vector<std::uint8_t>* vector);
[[nodiscard]] std::string_view text_of(const flatbuffers::String* text);
using Strings = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;
[[nodiscard]] std::vector<std::string_view> texts_of(const Strings* strings);

}  // namespace weir::wire
