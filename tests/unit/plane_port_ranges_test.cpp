// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include "loader/plane/port_ranges.h"

namespace xlvs {
namespace {

const Address vip = *Address::parse("192.0.2.1");

OpenPorts range(uint16_t first, uint16_t last, uint32_t service) {
  return {{{vip, first}, Protocol::tcp, last}, service};
}
OpenPorts all(uint32_t service) { return {{{vip, 0}, Protocol::tcp, 0}, service}; }

// "10-19:1 20-29:2 other:3"
std::string text(const std::vector<slot>& painted) {
  std::string text;
  for (auto one = painted.begin() + 1; one != painted.end(); ++one) {
    text += std::to_string(one->ports.first) + "-" + std::to_string(one->ports.last) + ":" +
            std::to_string(one->ports.service) + " ";
  }
  return text + "other:" + std::to_string(painted.front().ports.service);
}

struct Row {
  std::string name;
  std::vector<OpenPorts> opened;
  std::string painted;
};

std::string row_name(const testing::TestParamInfo<Row>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class PortRanges : public testing::TestWithParam<Row> {};

TEST_P(PortRanges, ArePainted) { EXPECT_EQ(text(paint(GetParam().opened)), GetParam().painted); }

INSTANTIATE_TEST_SUITE_P(
    Openings, PortRanges,
    testing::Values(
        Row{"nothing", {}, "other:0"}, Row{"one range", {range(10, 19, 1)}, "10-19:1 other:0"},
        Row{"a range of one port", {range(10, 10, 1)}, "10-10:1 other:0"},
        Row{"apart, the later one before",
            {range(30, 39, 1), range(10, 19, 2)},
            "10-19:2 30-39:1 other:0"},
        Row{"side by side", {range(10, 19, 1), range(20, 29, 2)}, "10-19:1 20-29:2 other:0"},
        Row{"grows at its end", {range(10, 19, 1), range(10, 25, 1)}, "10-25:1 other:0"},
        Row{"grows at its beginning", {range(10, 19, 1), range(5, 19, 1)}, "5-19:1 other:0"},
        Row{"shrinks while the old one is open",
            {range(10, 19, 1), range(10, 15, 2)},
            "10-15:2 16-19:1 other:0"},
        Row{"shrinks from its beginning",
            {range(10, 19, 1), range(15, 19, 2)},
            "10-14:1 15-19:2 other:0"},
        Row{"is split", {range(10, 19, 1), range(13, 15, 2)}, "10-12:1 13-15:2 16-19:1 other:0"},
        Row{"is split by one port",
            {range(10, 19, 1), range(13, 13, 2)},
            "10-12:1 13-13:2 14-19:1 other:0"},
        Row{"is split twice",
            {range(10, 19, 1), range(12, 12, 2), range(16, 16, 3)},
            "10-11:1 12-12:2 13-15:1 16-16:3 17-19:1 other:0"},
        Row{"overlaps the next at its end",
            {range(20, 29, 1), range(15, 24, 2)},
            "15-24:2 25-29:1 other:0"},
        Row{"overlaps the one before at its beginning",
            {range(10, 19, 1), range(15, 24, 2)},
            "10-14:1 15-24:2 other:0"},
        Row{"overlaps one port at its end",
            {range(20, 29, 1), range(15, 20, 2)},
            "15-20:2 21-29:1 other:0"},
        Row{"overlaps one port at its beginning",
            {range(10, 19, 1), range(19, 24, 2)},
            "10-18:1 19-24:2 other:0"},
        Row{"overlaps two of three",
            {range(10, 19, 1), range(20, 29, 2), range(30, 39, 3), range(15, 24, 4)},
            "10-14:1 15-24:4 25-29:2 30-39:3 other:0"},
        Row{"covers the one between",
            {range(10, 19, 1), range(22, 27, 2), range(30, 39, 3), range(15, 34, 4)},
            "10-14:1 15-34:4 35-39:3 other:0"},
        Row{"covers it exactly", {range(10, 19, 1), range(10, 19, 2)}, "10-19:2 other:0"},
        Row{"the whole range", {range(1, 65535, 1)}, "1-65535:1 other:0"},
        Row{"the whole range over others",
            {range(1, 9, 1), range(65530, 65535, 2), range(1, 65535, 3)},
            "1-65535:3 other:0"},
        Row{"over the whole range",
            {range(1, 65535, 1), range(10, 19, 2)},
            "1-9:1 10-19:2 20-65535:1 other:0"},
        Row{"to the last port",
            {range(1, 65535, 1), range(65535, 65535, 2)},
            "1-65534:1 65535-65535:2 other:0"},
        Row{"from the first port", {range(1, 65535, 1), range(1, 1, 2)}, "1-1:2 2-65535:1 other:0"},
        Row{"grows to the last port",
            {range(65000, 65534, 1), range(65000, 65535, 1)},
            "65000-65535:1 other:0"},
        Row{"all ports", {all(1)}, "other:1"},
        Row{"all ports before a range", {all(1), range(10, 19, 2)}, "10-19:2 other:1"},
        Row{"all ports after a range", {range(10, 19, 2), all(1)}, "10-19:2 other:1"},
        Row{"all ports of another service", {all(1), range(10, 19, 2), all(3)}, "10-19:2 other:3"},
        Row{"the later is over the earlier",
            {range(13, 15, 2), range(10, 19, 1)},
            "10-19:1 other:0"},
        Row{"the last of three is on top",
            {range(10, 19, 1), range(13, 15, 2), range(14, 24, 3)},
            "10-12:1 13-13:2 14-24:3 other:0"}),
    row_name);

// ---- any openings -----------------------------------------------------------------------------

// The service of each port.
using Ports = std::vector<uint32_t>;
constexpr uint32_t ports = 65536;

Ports painted_one_by_one(const std::vector<OpenPorts>& opened) {
  Ports painted(ports);
  Ports others(ports);
  for (const auto& [endpoint, service] : opened) {
    const uint32_t first = endpoint.vip.port;
    if (first == 0) {
      std::fill(others.begin(), others.end(), service);
    } else {
      std::fill(painted.begin() + first, painted.begin() + endpoint.last_port + 1, service);
    }
  }
  for (uint32_t port = 0; port < ports; ++port) {
    if (painted[port] == 0) painted[port] = others[port];
  }
  return painted;
}

Ports painted_by(const std::vector<slot>& slots) {
  Ports painted(ports, slots.front().ports.service);
  for (auto one = slots.begin() + 1; one != slots.end(); ++one) {
    std::fill(painted.begin() + one->ports.first, painted.begin() + one->ports.last + 1,
              one->ports.service);
  }
  return painted;
}

// Packets look for their range by halving.
bool in_order_and_apart(const std::vector<slot>& slots) {
  uint32_t before = 0;
  return std::all_of(slots.begin() + 1, slots.end(), [&](const slot& one) {
    const bool right = one.ports.first > before && one.ports.first <= one.ports.last;
    before = one.ports.last;
    return right;
  });
}

// Near each other, at either end or anywhere, so that ends meet, touch and miss by one.
uint16_t some_port(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return static_cast<uint16_t>(1 + random() % 16);
    case 1:
      return static_cast<uint16_t>(65535 - random() % 16);
    case 2:
      return static_cast<uint16_t>(30000 + random() % 32);
    default:
      return static_cast<uint16_t>(1 + random() % 65535);
  }
}

std::vector<OpenPorts> some_openings(std::mt19937_64& random) {
  std::vector<OpenPorts> opened;
  const uint64_t count = 1 + random() % 24;
  for (uint32_t service = 1; service <= count; ++service) {
    if (random() % 16 == 0) {
      opened.push_back(all(service));
      continue;
    }
    const auto [first, last] = std::minmax({some_port(random), some_port(random)});
    opened.push_back(range(first, last, service));
  }
  return opened;
}

std::string text(const std::vector<OpenPorts>& opened) {
  std::string text;
  for (const auto& [endpoint, service] : opened) {
    text += endpoint.address_text() + " -> " + std::to_string(service) + "\n";
  }
  return text;
}

// XLVS_PORTS_SEED sets which.
TEST(AnyPortRanges, AreAsIfPaintedPortByPort) {
  const char* wanted = std::getenv("XLVS_PORTS_SEED");  // NOLINT(concurrency-mt-unsafe): one thread
  const uint64_t seed =
      wanted == nullptr ? std::random_device{}() : std::strtoull(wanted, nullptr, 10);
  std::cout << "XLVS_PORTS_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    const auto opened = some_openings(random);
    const auto slots = paint(opened);
    ASSERT_TRUE(in_order_and_apart(slots)) << text(opened) << text(slots);
    ASSERT_LE(slots.size(), 1 + 2 * opened.size()) << text(opened) << text(slots);
    ASSERT_EQ(painted_by(slots), painted_one_by_one(opened)) << text(opened) << text(slots);
  }
}

}  // namespace
}  // namespace xlvs
