// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "tests/packet/cluster.h"

namespace xlvs::test {

// Frames that are nearly what the cluster expects, out of a seed: sound ones of every kind, sound
// ones with fields set at random, frames damaged byte by byte, and sound ones in fragments, mostly
// in order.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  Bytes next();
  // The fragments of a sound frame, the first of them first.
  std::vector<Bytes> fragments();

 private:
  Packet sound();
  Packet link();
  Packet error();
  Packet network(bool reply);
  Packet network(const Address& source, const Address& destination);
  Packet extensions();
  Packet transport(bool reply);
  Packet transport(uint16_t from, uint16_t to);
  uint16_t service_port();
  uint16_t client_port();
  uint16_t replier_port();
  void damage(Bytes& frame);

  // 0 .. below - 1.
  uint32_t pick(uint32_t below) { return static_cast<uint32_t>(random_() % below); }
  bool one_in(uint32_t times) { return pick(times) == 0; }
  template <typename T>
  T any() {
    return static_cast<T>(random_());
  }
  Bytes any_bytes(size_t size);

  std::mt19937_64 random_;
  std::vector<Bytes> waiting_;  // fragments, the next one last
  Family family_ = Family::v4;
};

}  // namespace xlvs::test
