#include "storage/page_file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "storage/file.hpp"

namespace weir::storage {
namespace {

// LMDB 0.9 on 64 bits. Numbers are in the machine's own order.
//
//   page:  0 number u64 | 8 pad u16 | 10 flags u16 | 12 lower u16 | 14 upper u16 (an extent: 12 pages u32) | 16 ...
//   meta:  16 magic u32 | 20 version u32 | 24 address u64 | 32 map size u64 | 40 free table | 88 main table
//          | 136 last page u64 | 144 txn id u64
//   table: 0 pad u32 (free table: page size) | 4 flags u16 | 6 depth u16 | 8 branch, 16 leaf, 24 extent pages u64
//          | 32 entries u64 | 40 root u64
//   node:  0 size low u16 | 2 size high u16 | 4 flags u16 | 6 key size u16 | 8 key, value
//          (branch: the first three are a page number of 48 bits)
constexpr std::size_t kPageHeaderSize = 16;
constexpr std::size_t kMetaEnd = 152;
constexpr std::size_t kFreeTableOffset = 40;
constexpr std::size_t kMainTableOffset = 88;
constexpr std::size_t kLastPageOffset = 136;
constexpr std::size_t kTxnOffset = 144;
constexpr std::size_t kNodeHeaderSize = 8;
constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kDataVersion = 1;
constexpr std::uint16_t kBranchPage = 0x01;
constexpr std::uint16_t kLeafPage = 0x02;
constexpr std::uint16_t kExtentPage = 0x04;
constexpr std::uint16_t kMetaPage = 0x08;
constexpr std::uint16_t kBigValueNode = 0x01;
constexpr std::uint16_t kIntegerKeyTable = 0x08;
// Flags that change how a table is read; the free table's other bits are the environment's.
constexpr std::uint16_t kTableFlags = 0x7e;
constexpr std::uint64_t kNoRoot = ~std::uint64_t{0};
// LMDB's own cursors are no deeper.
constexpr std::uint16_t kDepthMax = 32;
constexpr std::uint64_t kMetaPages = 2;

template <std::unsigned_integral T>
T load(std::string_view bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

using Done = std::expected<void, Error>;

struct Table {
  std::uint16_t flags = 0;
  std::uint16_t depth = 0;
  std::uint64_t entries = 0;
  std::uint64_t root = kNoRoot;
};

struct Meta {
  Table free;
  Table main;
  std::uint64_t last_page = 0;
  std::uint64_t txn = 0;
};

struct Node {
  std::string_view key;
  std::uint16_t flags = 0;
  std::uint64_t child = 0;       // branch: page
  std::uint32_t value_size = 0;  // leaf
  std::string_view rest;         // leaf: the page's bytes after the key
};

// Keys of a page lie in [low, high); no high = no bound.
struct Bounds {
  std::string low;
  std::optional<std::string> high;
};

Table table_at(std::string_view page, std::size_t offset) {
  return {load<std::uint16_t>(page, offset + 4), load<std::uint16_t>(page, offset + 6),
          load<std::uint64_t>(page, offset + 32), load<std::uint64_t>(page, offset + 40)};
}

class Walk {
 public:
  explicit Walk(const File& file) : path_(file.path()), file_(file) {}

  std::expected<TreeShape, Error> run(const RowVisitor& visitor);
  /// Only the pages of the rows' own tree, none of large values'.
  std::expected<TreeShape, Error> run_on_tree(const RowVisitor& visitor);

 private:
  std::expected<TreeShape, Error> walk_rows(const RowVisitor& visitor);
  struct TableWalk {
    const RowVisitor& visitor;
    std::uint16_t depth;
    bool integer_keys;
    std::uint64_t entries = 0;
    std::string last_key;
  };

  [[nodiscard]] std::unexpected<Error> damaged(const std::string& problem) const {
    return std::unexpected(Error{Errc::damaged, path_ + ": " + problem});
  }
  std::expected<Meta, Error> read_meta(std::uint64_t number);
  Done pick_meta();
  Done claim(std::uint64_t page, std::uint64_t count);
  Done walk_table(const Table& table, bool integer_keys, const RowVisitor& visitor);
  Done walk_page(TableWalk& walk, std::uint64_t number, std::uint16_t depth, const Bounds& bounds);
  Done walk_branch(TableWalk& walk, std::string_view page, std::uint16_t depth, const Bounds& bounds);
  Done walk_leaf(TableWalk& walk, std::string_view page, const Bounds& bounds);
  std::expected<std::vector<Node>, Error> nodes_of(std::string_view page, std::uint64_t number) const;
  std::expected<std::string_view, Error> value_of(const Node& node);
  std::expected<std::string_view, Error> value_left_out(const Node& node);
  Done claim_free_pages(std::string_view list);

  const std::string& path_;
  const File& file_;
  std::size_t page_size_ = 0;
  Meta meta_;
  bool reads_values_ = true;
  std::vector<bool> claimed_;  // by page number: has one use already
  std::string value_;
};

std::expected<Meta, Error> Walk::read_meta(std::uint64_t number) {
  std::array<char, kMetaEnd> bytes{};
  if (auto ok = file_.read_at(number * page_size_, bytes); !ok) return std::unexpected(ok.error());
  const std::string_view page(bytes.data(), bytes.size());
  const auto psize = load<std::uint32_t>(page, kFreeTableOffset);
  if (number == 0) page_size_ = psize;
  if (load<std::uint64_t>(page, 0) != number || load<std::uint16_t>(page, 10) != kMetaPage ||
      load<std::uint32_t>(page, 16) != kMagic || load<std::uint32_t>(page, 20) != kDataVersion || psize != page_size_ ||
      !std::has_single_bit(psize) || psize < 512 || psize > 65536)
    return damaged("meta page " + std::to_string(number) + " is not one of LMDB 0.9");
  Meta meta{table_at(page, kFreeTableOffset), table_at(page, kMainTableOffset),
            load<std::uint64_t>(page, kLastPageOffset), load<std::uint64_t>(page, kTxnOffset)};
  if ((meta.free.flags & kTableFlags) != kIntegerKeyTable || meta.main.flags != 0)
    return damaged("meta page " + std::to_string(number) + " has unknown flags");
  return meta;
}

// Commits take turns: even transactions write meta page 0, odd ones meta page 1. Anything else than two neighbours (or
// a new file) means that a flipped bit could make an older tree look like the newest.
Done Walk::pick_meta() {
  auto even = read_meta(0);
  if (!even) return std::unexpected(std::move(even.error()));
  auto odd = read_meta(1);
  if (!odd) return std::unexpected(std::move(odd.error()));
  const bool fresh = even->txn == 0 && odd->txn == 0;
  const bool neighbours =
      even->txn % 2 == 0 && odd->txn % 2 == 1 && (even->txn + 1 == odd->txn || odd->txn + 1 == even->txn);
  if (!fresh && !neighbours) return damaged("the two meta pages do not follow each other");
  meta_ = odd->txn > even->txn ? *odd : *even;

  const auto size = file_.size();
  if (!size) return std::unexpected(size.error());
  const std::uint64_t file_pages = *size / page_size_;
  if (meta_.last_page < kMetaPages - 1 || meta_.last_page >= file_pages)
    return damaged("the file was cut: it has " + std::to_string(file_pages) + " pages, but its meta page speaks of " +
                   std::to_string(meta_.last_page) + " more than the first");
  claimed_.assign(meta_.last_page + 1, false);
  return claim(0, kMetaPages);
}

Done Walk::claim(std::uint64_t page, std::uint64_t count) {
  if (page >= claimed_.size() || count > claimed_.size() - page)
    return damaged("page " + std::to_string(page) + " is beyond the last page");
  for (std::uint64_t number = page; number < page + count; ++number) {
    if (claimed_[number]) return damaged("page " + std::to_string(number) + " is used twice");
    claimed_[number] = true;
  }
  return {};
}

std::expected<std::vector<Node>, Error> Walk::nodes_of(std::string_view page, std::uint64_t number) const {
  const std::size_t lower = load<std::uint16_t>(page, 12);
  const std::size_t upper = load<std::uint16_t>(page, 14);
  const bool branch = load<std::uint16_t>(page, 10) == kBranchPage;
  const std::string at = "page " + std::to_string(number);
  if (lower < kPageHeaderSize || lower > upper || upper > page.size() || lower % 2 != 0)
    return damaged(at + " has no valid header");
  std::vector<Node> nodes;
  for (std::size_t slot = kPageHeaderSize; slot < lower; slot += 2) {
    const std::size_t start = load<std::uint16_t>(page, slot);
    if (start < upper || start % 2 != 0 || start + kNodeHeaderSize > page.size())
      return damaged(at + " points outside of itself");
    const std::size_t low = load<std::uint16_t>(page, start);
    const std::size_t high = load<std::uint16_t>(page, start + 2);
    Node node;
    node.flags = load<std::uint16_t>(page, start + 4);
    const std::size_t key_size = load<std::uint16_t>(page, start + 6);
    if (key_size > page.size() - start - kNodeHeaderSize) return damaged(at + " has a key that leaves it");
    node.key = page.substr(start + kNodeHeaderSize, key_size);
    node.rest = page.substr(start + kNodeHeaderSize + key_size);
    node.value_size = static_cast<std::uint32_t>(low | high << 16U);
    node.child = low | high << 16U | std::uint64_t{node.flags} << 32U;
    const std::size_t inline_size = (node.flags & kBigValueNode) != 0 ? sizeof(std::uint64_t) : node.value_size;
    if (!branch && ((node.flags & ~kBigValueNode) != 0 || inline_size > node.rest.size()))
      return damaged(at + " has a value that leaves it");
    nodes.push_back(node);
  }
  if (nodes.size() < (branch ? 2U : 1U)) return damaged(at + " has too few rows");
  return nodes;
}

std::expected<std::string_view, Error> Walk::value_of(const Node& node) {
  if ((node.flags & kBigValueNode) == 0) return node.rest.substr(0, node.value_size);
  const auto first = load<std::uint64_t>(node.rest, 0);
  if (first >= claimed_.size()) return damaged("a value begins beyond the last page");
  std::array<char, kPageHeaderSize> header{};
  if (auto ok = file_.read_at(first * page_size_, header); !ok) return std::unexpected(ok.error());
  const std::string_view head(header.data(), header.size());
  const std::uint64_t pages = load<std::uint32_t>(head, 12);
  if (load<std::uint64_t>(head, 0) != first || load<std::uint16_t>(head, 10) != kExtentPage ||
      pages * page_size_ < kPageHeaderSize + node.value_size)
    return damaged("page " + std::to_string(first) + " does not begin the value it should");
  if (auto ok = claim(first, pages); !ok) return std::unexpected(std::move(ok.error()));
  value_.resize(node.value_size);
  if (auto ok = file_.read_at(first * page_size_ + kPageHeaderSize, value_); !ok)
    return std::unexpected(std::move(ok.error()));
  return value_;
}

std::expected<std::string_view, Error> Walk::value_left_out(const Node& node) {
  if ((node.flags & kBigValueNode) == 0) return node.rest.substr(0, node.value_size);
  const std::uint64_t pages = (kPageHeaderSize + node.value_size + page_size_ - 1) / page_size_;
  if (auto ok = claim(load<std::uint64_t>(node.rest, 0), pages); !ok) return std::unexpected(std::move(ok.error()));
  return std::string_view();
}

// Keys of the free table are numbers of the machine: turned round where it is little-endian, they order as bytes.
std::string comparable(std::string_view key, bool integer_keys) {
  std::string result(key);
  if (integer_keys && std::endian::native == std::endian::little) std::ranges::reverse(result);
  return result;
}

Done Walk::walk_leaf(TableWalk& walk, std::string_view page, const Bounds& bounds) {
  auto nodes = nodes_of(page, load<std::uint64_t>(page, 0));
  if (!nodes) return std::unexpected(std::move(nodes.error()));
  for (const Node& node : *nodes) {
    std::string key = comparable(node.key, walk.integer_keys);
    if (key < bounds.low || (bounds.high && key >= *bounds.high) || (walk.entries > 0 && key <= walk.last_key))
      return damaged("page " + std::to_string(load<std::uint64_t>(page, 0)) + " has keys out of order");
    walk.last_key = std::move(key);
    walk.entries++;
    auto value = reads_values_ ? value_of(node) : value_left_out(node);
    if (!value) return std::unexpected(std::move(value.error()));
    if (auto ok = walk.visitor(node.key, *value); !ok) return ok;
  }
  return {};
}

Done Walk::walk_branch(TableWalk& walk, std::string_view page, std::uint16_t depth, const Bounds& bounds) {
  auto nodes = nodes_of(page, load<std::uint64_t>(page, 0));
  if (!nodes) return std::unexpected(std::move(nodes.error()));
  for (std::size_t child = 0; child < nodes->size(); ++child) {
    // The first separator is never looked at: everything below the second goes there.
    Bounds inner = bounds;
    if (child > 0) inner.low = comparable((*nodes)[child].key, walk.integer_keys);
    if (child + 1 < nodes->size()) inner.high = comparable((*nodes)[child + 1].key, walk.integer_keys);
    if (inner.low < bounds.low || (bounds.high && inner.high && *inner.high > *bounds.high))
      return damaged("page " + std::to_string(load<std::uint64_t>(page, 0)) + " has separators out of order");
    if (auto ok = walk_page(walk, (*nodes)[child].child, static_cast<std::uint16_t>(depth + 1), inner); !ok) return ok;
  }
  return {};
}

Done Walk::walk_page(TableWalk& walk, std::uint64_t number, std::uint16_t depth, const Bounds& bounds) {
  if (auto ok = claim(number, 1); !ok) return ok;
  std::string page(page_size_, '\0');
  if (auto ok = file_.read_at(number * page_size_, page); !ok) return ok;
  const std::uint16_t kind = depth == walk.depth ? kLeafPage : kBranchPage;
  if (load<std::uint64_t>(page, 0) != number || load<std::uint16_t>(page, 10) != kind)
    return damaged("page " + std::to_string(number) + " is not the page that belongs there");
  return kind == kLeafPage ? walk_leaf(walk, page, bounds) : walk_branch(walk, page, depth, bounds);
}

Done Walk::walk_table(const Table& table, bool integer_keys, const RowVisitor& visitor) {
  const bool empty = table.root == kNoRoot;
  if (table.depth > kDepthMax || empty != (table.depth == 0) || empty != (table.entries == 0))
    return damaged("a meta page contradicts itself");
  if (empty) return {};
  TableWalk walk{visitor, table.depth, integer_keys, 0, {}};
  if (auto ok = walk_page(walk, table.root, 1, {}); !ok) return ok;
  if (walk.entries != table.entries)
    return damaged("it has " + std::to_string(walk.entries) + " rows, but its meta page speaks of " +
                   std::to_string(table.entries));
  return {};
}

// A row of the free table: a count, then so many page numbers. A page that is free and used would be overwritten.
Done Walk::claim_free_pages(std::string_view list) {
  if (list.size() < sizeof(std::uint64_t)) return damaged("a list of free pages is too short");
  const auto count = load<std::uint64_t>(list, 0);
  if (count > list.size() / sizeof(std::uint64_t) - 1) return damaged("a list of free pages is too short");
  for (std::uint64_t slot = 1; slot <= count; ++slot)
    if (auto ok = claim(load<std::uint64_t>(list, slot * sizeof(std::uint64_t)), 1); !ok) return ok;
  return {};
}

std::expected<TreeShape, Error> Walk::run(const RowVisitor& visitor) {
  auto shape = walk_rows(visitor);
  if (!shape) return shape;
  auto walked = walk_table(meta_.free, true, [this](std::string_view key, std::string_view value) -> Done {
    if (key.size() != sizeof(std::uint64_t) || load<std::uint64_t>(key, 0) > meta_.txn)
      return damaged("a list of free pages has a wrong key");
    return claim_free_pages(value);
  });
  if (!walked) return std::unexpected(std::move(walked.error()));
  return shape;
}

std::expected<TreeShape, Error> Walk::run_on_tree(const RowVisitor& visitor) {
  reads_values_ = false;
  return walk_rows(visitor);
}

std::expected<TreeShape, Error> Walk::walk_rows(const RowVisitor& visitor) {
  if (auto ok = pick_meta(); !ok) return std::unexpected(std::move(ok.error()));
  if (auto ok = walk_table(meta_.main, false, visitor); !ok) return std::unexpected(std::move(ok.error()));
  return TreeShape{.rows = meta_.main.entries, .used_bytes = (meta_.last_page + 1) * page_size_};
}

}  // namespace

std::expected<TreeShape, Error> visit_tree(const std::string& path, const RowVisitor& visitor) {
  const auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(file.error());
  return Walk(*file).run_on_tree(visitor);
}

std::expected<TreeShape, Error> visit_rows(const std::string& path, const RowVisitor& visitor) {
  const auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(file.error());
  return Walk(*file).run(visitor);
}

}  // namespace weir::storage
