// SPDX-License-Identifier: MIT
#include "tests/harness/fragments.h"

#include <algorithm>
#include <map>

#include "tests/harness/checksum.h"

namespace xlvs::test {
namespace {

constexpr uint8_t fragment_header = 44;
constexpr uint16_t v4_more = 0x2000;
constexpr uint16_t v4_offset = 0x1fff;

uint16_t word_at(const Bytes& bytes, size_t offset) {
  return static_cast<uint16_t>(bytes.at(offset) << 8 | bytes.at(offset + 1));
}

void set_word(Bytes& bytes, size_t offset, size_t value) {
  bytes.at(offset) = static_cast<uint8_t>(value >> 8);
  bytes.at(offset + 1) = static_cast<uint8_t>(value);
}

bool is_v4(const Bytes& frame) { return frame.at(network_offset(frame)) >> 4 == 4; }

void append(Bytes& to, const Bytes& from, size_t begin, size_t end) {
  to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(begin),
            from.begin() + static_cast<std::ptrdiff_t>(end));
}

void finish_v4(Bytes& frame, size_t network, size_t header, uint16_t flags) {
  set_word(frame, network + 2, frame.size() - network);
  set_word(frame, network + 6, flags);
  set_word(frame, network + 10, 0);
  const uint16_t sum = ones_sum(std::span(frame).subspan(network, header));
  set_word(frame, network + 10, static_cast<uint16_t>(~sum));
}

// Options are copied to each, as those are that say so (RFC 791, 3.1).
Bytes v4_part(const Bytes& frame, size_t network, size_t begin, size_t end) {
  const size_t header = size_t(frame.at(network) & 15) * 4;
  Bytes part;
  append(part, frame, 0, network + header);
  append(part, frame, begin, end);
  const bool more = end < network + word_at(frame, network + 2);
  const size_t offset = (begin - network - header) / 8;
  finish_v4(part, network, header, static_cast<uint16_t>(offset | (more ? v4_more : 0)));
  return part;
}

// Where the fragment header goes, and the byte that says what it is followed by.
struct Seam {
  size_t at;
  size_t next;
};

Seam seam_of(const Bytes& frame, size_t network, size_t extensions) {
  Seam seam{network + 40, network + 6};
  while (seam.at < network + 40 + extensions) {
    seam.next = seam.at;
    seam.at += (size_t(frame.at(seam.at + 1)) + 1) * 8;
  }
  return seam;
}

Bytes v6_part(const Bytes& frame, size_t network, size_t begin, size_t end, const Cut& cut) {
  const Seam seam = seam_of(frame, network, cut.extensions);
  const bool more = end < network + 40 + word_at(frame, network + 4);
  Bytes part;
  append(part, frame, 0, seam.at);
  part.at(seam.next) = fragment_header;
  const size_t header = part.size();
  part.insert(part.end(), {frame.at(seam.next), static_cast<uint8_t>(cut.reserved >> 2), 0, 0});
  set_word(part, header + 2, (begin - seam.at) | (cut.reserved & 3U) << 1 | (more ? 1U : 0U));
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    part.push_back(static_cast<uint8_t>(cut.id >> shift));
  }
  append(part, frame, begin, end);
  set_word(part, network + 4, part.size() - network - 40);
  return part;
}

// One fragment, taken apart.
struct Piece {
  Bytes head;  // all in front of its part, as the whole has it
  Bytes part;
  size_t offset = 0;
  bool more = false;
};

Piece v4_piece(const Bytes& frame, size_t network) {
  const size_t header = size_t(frame.at(network) & 15) * 4;
  const uint16_t flags = word_at(frame, network + 6);
  Piece piece;
  append(piece.head, frame, 0, network + header);
  append(piece.part, frame, network + header, network + word_at(frame, network + 2));
  piece.offset = size_t(flags & v4_offset) * 8;
  piece.more = (flags & v4_more) != 0;
  return piece;
}

std::optional<Piece> v6_piece(const Bytes& frame, size_t network) {
  Seam seam{network + 40, network + 6};
  while (frame.at(seam.next) != fragment_header) {
    if (frame.at(seam.next) != 0 && frame.at(seam.next) != 60) return std::nullopt;
    seam.next = seam.at;
    seam.at += (size_t(frame.at(seam.at + 1)) + 1) * 8;
  }
  Piece piece;
  append(piece.head, frame, 0, seam.at);
  piece.head.at(seam.next) = frame.at(seam.at);
  append(piece.part, frame, seam.at + 8, network + 40 + word_at(frame, network + 4));
  piece.offset = word_at(frame, seam.at + 2) & 0xfff8U;
  piece.more = (frame.at(seam.at + 3) & 1) != 0;
  return piece;
}

std::optional<Piece> piece_of(const Bytes& frame) {
  const size_t network = network_offset(frame);
  return is_v4(frame) ? v4_piece(frame, network) : v6_piece(frame, network);
}

// Source and destination.
Bytes addresses(const Piece& piece) {
  const size_t network = network_offset(piece.head);
  Bytes both;
  if (is_v4(piece.head))
    append(both, piece.head, network + 12, network + 20);
  else
    append(both, piece.head, network + 8, network + 40);
  return both;
}

}  // namespace

size_t network_offset(const Bytes& frame) {
  size_t offset = 14;
  while (word_at(frame, offset - 2) == 0x8100 || word_at(frame, offset - 2) == 0x88a8) offset += 4;
  return offset;
}

std::vector<Bytes> split(const Bytes& frame, const Cut& cut) {
  const size_t network = network_offset(frame);
  const bool v4 = is_v4(frame);
  const size_t begin = v4 ? network + size_t(frame.at(network) & 15) * 4
                          : seam_of(frame, network, cut.extensions).at;
  std::vector<Bytes> parts;
  for (size_t at = begin; at < frame.size(); at += cut.size) {
    const size_t end = std::min(at + cut.size, frame.size());
    parts.push_back(v4 ? v4_part(frame, network, at, end) : v6_part(frame, network, at, end, cut));
  }
  return parts;
}

std::optional<Bytes> join(const std::vector<Bytes>& fragments) {
  std::map<size_t, Piece> pieces;
  for (const Bytes& fragment : fragments) {
    auto piece = piece_of(fragment);
    if (!piece || !pieces.emplace(piece->offset, *piece).second) return std::nullopt;
  }
  if (pieces.empty() || pieces.begin()->first != 0) return std::nullopt;
  Piece& first = pieces.begin()->second;
  Bytes whole = first.head;
  size_t next = 0;
  for (const auto& [offset, piece] : pieces) {
    const bool last = &piece == &pieces.rbegin()->second;
    if (offset != next || piece.more == last || addresses(piece) != addresses(first)) {
      return std::nullopt;
    }
    append(whole, piece.part, 0, piece.part.size());
    next += piece.part.size();
  }
  const size_t network = network_offset(whole);
  if (is_v4(whole))
    finish_v4(whole, network, size_t(whole.at(network) & 15) * 4, 0);
  else
    set_word(whole, network + 4, whole.size() - network - 40);
  return whole;
}

}  // namespace xlvs::test
