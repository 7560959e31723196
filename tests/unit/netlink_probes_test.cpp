// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include <cstring>
#include <set>
#include <string>

#include "loader/plane/probes.h"

namespace xlvs {
namespace {

using namespace std::chrono_literals;
using Ask = ProbePlan::Ask;
using Time = ProbePlan::Time;

Hop hop(unsigned number) {
  in_addr address{.s_addr = htonl(0xc6120000 + number)};  // 198.18.0.0/15
  return {.ifindex = 3, .address = Address(address)};
}

std::set<Hop> hops(unsigned count) {
  std::set<Hop> all;
  for (unsigned number = 0; number < count; ++number) all.insert(hop(number));
  return all;
}

bool always(const Hop&, ProbePlan::Clock::duration) { return true; }
bool never(const Hop&, ProbePlan::Clock::duration) { return false; }

class ProbePlanTest : public testing::Test {
 protected:
  struct Sent {
    Time when;
    ProbePlan::Probe probe;
  };

  // What is sent in a span, by ticks.
  std::vector<Sent> during(std::chrono::milliseconds span, const ProbePlan::Heard& heard) {
    std::vector<Sent> sent;
    for (const Time end = now_ + span; now_ < end; now_ += ProbePlan::tick) {
      for (const auto& probe : plan_.due(now_, heard)) sent.push_back({now_, probe});
    }
    return sent;
  }
  static size_t count(const std::vector<Sent>& sent, Ask ask) {
    return std::count_if(sent.begin(), sent.end(),
                         [ask](const Sent& one) { return one.probe.ask == ask; });
  }

  Time now_ = Time{} + 1h;
  ProbePlan plan_;
};

TEST_F(ProbePlanTest, one_that_answers_is_asked_each_second_and_nobody_else) {
  plan_.set({hop(1)}, now_);
  const auto sent = during(10s, always);
  EXPECT_EQ(count(sent, Ask::known), 10U);
  EXPECT_EQ(count(sent, Ask::all), 0U);
  for (size_t i = 1; i < sent.size(); ++i) EXPECT_EQ(sent[i].when - sent[i - 1].when, 1s);
}

TEST_F(ProbePlanTest, where_no_answer_came_in_300_ms_all_are_asked) {
  plan_.set({hop(1)}, now_);
  const auto sent = during(2s, never);
  ASSERT_EQ(sent.size(), 4U);
  EXPECT_EQ(sent[0].probe, (ProbePlan::Probe{hop(1), Ask::known}));
  EXPECT_EQ(sent[1].probe, (ProbePlan::Probe{hop(1), Ask::all}));
  EXPECT_EQ(sent[1].when - sent[0].when, 300ms);
  EXPECT_EQ(sent[2].probe.ask, Ask::known);
  EXPECT_EQ(sent[2].when - sent[0].when, 1s);
}

TEST_F(ProbePlanTest, an_answer_counts_from_the_question_on) {
  plan_.set({hop(1)}, now_);
  ProbePlan::Clock::duration within{};
  during(2s, [&](const Hop&, ProbePlan::Clock::duration span) {
    within = span;
    return true;
  });
  EXPECT_EQ(within, 300ms);
}

TEST_F(ProbePlanTest, a_thousand_are_spread_over_the_second) {
  plan_.set(hops(1000), now_);
  during(2s, always);
  for (int tick = 0; tick < 20; ++tick) {
    const auto sent = during(ProbePlan::tick, always);
    EXPECT_GE(sent.size(), 40U);
    EXPECT_LE(sent.size(), 60U);
  }
}

TEST_F(ProbePlanTest, more_have_a_longer_round) {
  plan_.set(hops(5000), now_);
  during(10s, always);
  EXPECT_NEAR(static_cast<double>(during(10s, always).size()), 10000, 100);
}

TEST_F(ProbePlanTest, silent_ones_are_no_storm_and_each_has_its_turn) {
  plan_.set(hops(1000), now_);
  std::set<Hop> asked;
  for (int second = 0; second < 15; ++second) {
    const auto sent = during(1s, never);
    EXPECT_LE(count(sent, Ask::all), 100U);
    EXPECT_LE(sent.size(), 1100U);
    for (const auto& one : sent) {
      if (one.probe.ask == Ask::all) asked.insert(one.probe.hop);
    }
  }
  EXPECT_EQ(asked.size(), 1000U);
}

TEST_F(ProbePlanTest, those_that_stay_keep_their_turns) {
  plan_.set({hop(1)}, now_);
  const auto first = during(1s, always);
  ASSERT_EQ(first.size(), 1U);
  plan_.set({hop(1), hop(2)}, now_);
  plan_.set({hop(1)}, now_);
  const auto second = during(1s, always);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].when - first[0].when, 1s);
  plan_.set({}, now_);
  EXPECT_TRUE(plan_.empty());
}

// ---- frames ----

std::string hex(const Frame& frame) {
  std::string text;
  for (const uint8_t byte : frame) {
    constexpr const char* digits = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

const Mac own{{2, 0, 0, 0, 0, 1}};
const Mac known{{2, 0, 0, 0, 0, 2}};
const Asker asker{own, Address::parse("192.0.2.1").value()};
const Asker asker6{own, Address::parse("2001:db8::1").value()};
const Address target = Address::parse("192.0.2.2").value();
const Address target6 = Address::parse("2001:db8::12:3456").value();

TEST(ProbeFrames, arp_asks_the_known_or_all) {
  const std::string rest =
      "0200000000010806"
      "0001"
      "0800"
      "06"
      "04"
      "0001"
      "020000000001"
      "c0000201"
      "000000000000"
      "c0000202";
  EXPECT_EQ(hex(arp_request(asker, target, known)), "020000000002" + rest);
  EXPECT_EQ(hex(arp_request(asker, target, std::nullopt)), "ffffffffffff" + rest);
}

// The sum over pseudo header and message, checksum included, is 0xffff (RFC 1071).
uint32_t checksum_of(const Frame& frame) {
  const Frame ip(frame.begin() + 14, frame.end());
  uint32_t sum = static_cast<uint32_t>(ip.size()) - 40 + IPPROTO_ICMPV6;
  for (size_t at = 8; at < ip.size(); at += 2)
    sum += static_cast<uint32_t>(ip[at] << 8 | ip[at + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(ProbeFrames, a_solicitation_asks_the_known_or_the_group) {
  const std::string source = "20010db8000000000000000000000001";
  const std::string about = "20010db8000000000000000000123456";
  const Frame unicast = neighbour_solicitation(asker6, target6, known);
  const Frame multicast = neighbour_solicitation(asker6, target6, std::nullopt);
  const std::string header =
      "02000000000186dd"
      "60000000"
      "0020"
      "3a"
      "ff" +
      source;
  EXPECT_EQ(hex(unicast).substr(0, 108), "020000000002" + header + about);
  EXPECT_EQ(hex(multicast).substr(0, 108),
            "3333ff123456" + header + "ff0200000000000000000001ff123456");
  for (const Frame& frame : {unicast, multicast}) {
    EXPECT_EQ(hex(frame).substr(108, 4), "8700");
    EXPECT_EQ(hex(frame).substr(116), "00000000" + about +
                                          "0101"
                                          "020000000001");
    EXPECT_EQ(checksum_of(frame), 0xffffU);
  }
}

}  // namespace
}  // namespace xlvs
