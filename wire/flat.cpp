#include "wire/flat.hpp"

#include <cstring>
#include <memory>

namespace weir::wire {

raft::Bytes aligned(raft::Bytes data) {
  if (well_placed(data.data(), kAlignment)) return data;
  const auto owner = std::make_shared_for_overwrite<std::uint64_t[]>(padded(data.size()) / sizeof(std::uint64_t));
  std::memcpy(owner.get(), data.data(), data.size());
  return {owner, std::string_view(reinterpret_cast<const char*>(owner.get()), data.size())};
}

raft::Bytes release(flatbuffers::FlatBufferBuilder& builder) {
  const auto owner = std::make_shared<const flatbuffers::DetachedBuffer>(builder.Release());
  return {owner, std::string_view(reinterpret_cast<const char*>(owner->data()), owner->size())};
}

std::string_view finished(const flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

template <class T>
flatbuffers::Offset<flatbuffers::Vector<T>> unfilled_vector(flatbuffers::FlatBufferBuilder& builder, std::size_t count,
                                                            T*& elements) {
  return builder.CreateUninitializedVector<T>(count, &elements);
}
template flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> unfilled_vector(flatbuffers::FlatBufferBuilder&,
                                                                                std::size_t, std::uint8_t*&);
template flatbuffers::Offset<flatbuffers::Vector<std::uint32_t>> unfilled_vector(flatbuffers::FlatBufferBuilder&,
                                                                                 std::size_t, std::uint32_t*&);
template flatbuffers::Offset<flatbuffers::Vector<std::uint64_t>> unfilled_vector(flatbuffers::FlatBufferBuilder&,
                                                                                 std::size_t, std::uint64_t*&);

flatbuffers::Verifier verifier(std::string_view bytes, VerifyLimits limits) {
  flatbuffers::Verifier::Options options;
  options.max_depth = limits.depth;
  options.max_tables = limits.tables;
  return flatbuffers::Verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), options);
}

bool well_placed(const void* vector_data, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(vector_data) % alignment == 0;
}

std::string_view blob_of(const flatbuffers::Vector<std::uint8_t>* vector) {
  if (vector == nullptr) return {};
  return {reinterpret_cast<const char*>(vector->Data()), vector->size()};
}

std::string_view text_of(const flatbuffers::String* text) {
  if (text == nullptr) return {};
  return {text->c_str(), text->size()};
}

std::vector<std::string_view> texts_of(const Strings* strings) {
  std::vector<std::string_view> texts;
  if (strings == nullptr) return texts;
  texts.reserve(strings->size());
  for (const auto* text : *strings) texts.push_back(text_of(text));
  return texts;
}

}  // namespace weir::wire
