// SPDX-License-Identifier: MIT
#include "tests/vm/differential/runner.h"

namespace xlvs::differential {

namespace {

std::vector<Packet> packets_of(Then then) {
  switch (then) {
    case Then::nothing:
      return {};
    case Then::hold:
      return {Packet::ack};
    case Then::close:
      return {Packet::ack, Packet::fin};
    case Then::reset:
      return {Packet::ack, Packet::rst};
    case Then::abort:
      return {Packet::rst};
  }
  return {};
}

std::string padded(std::string text) {
  text.resize(std::max<size_t>(text.size(), 48), ' ');
  return text;
}

}  // namespace

void Runner::take(const Open& open) {
  const test::Bytes frame = frame_of(setup_, open.client, Packet::syn);
  const Answer ipvs = ipvs_.ask(frame);
  const Answer xlvs = xlvs_.ask(frame);
  ++report_.packets;
  note(padded(text(Step(open))) + " IPVS " + ipvs.text() + "  xlvs " + xlvs.text());
  report_.wrong = judge_choice(setup_, {ipvs, given_by_ipvs_}, {xlvs, given_by_xlvs_});
  report_.chosen.push_back(ipvs);
  connections_.push_back({open.client, {ipvs.server, xlvs.server}});
  given_by_ipvs_.count(setup_, ipvs.server);
  given_by_xlvs_.count(setup_, xlvs.server);
  if (setup_.scheduling.one_packet || (setup_.protocol == Protocol::udp && open.then != Then::hold))
    return;
  for (const Packet packet : packets_of(open.then)) {
    if (!report_.wrong) send(connections_.back(), packet);
  }
}

// One more packet of a connection, to each who has it.
void Runner::send(Connection& connection, Packet packet) {
  using enum Connection::State;
  const Served& by = connection.by;
  // A client that has reset its opening says no more: of that the two have different ideas.
  if (connection.state == aborted || connection.state == ended) return;
  const auto is_away = [&](uint8_t server) {
    return server != 0 && setup_.find(server) == nullptr;
  };
  // IPVS sees none of its packets, and so does not count what they change.
  if (is_away(by.ipvs) || is_away(by.xlvs)) packet = Packet::ack;
  // Nor is a port used again, of which they have different ideas as well.
  if (packet == Packet::syn && connection.state != opening && connection.state != open) return;
  connection.state = next(connection.state, packet);
  const test::Bytes frame = frame_of(setup_, connection.client, packet);
  const Answer ipvs = by.ipvs == 0 ? Answer{} : ipvs_.ask(frame);
  const Answer xlvs = by.xlvs == 0 ? Answer{} : xlvs_.ask(frame);
  ++report_.packets;
  report_.wrong = judge_more(setup_, by, ipvs, xlvs);
  if (report_.wrong) {
    note(padded("  its next packet") + " IPVS " + ipvs.text() + "  xlvs " + xlvs.text());
  }
}

Runner::Connection::State Runner::next(Connection::State state, Packet packet) {
  using enum Connection::State;
  switch (packet) {
    case Packet::syn:
      return state;
    case Packet::ack:
      return state == opening ? open : state;
    case Packet::fin:
      return state == opening || state == open ? closed : state;
    case Packet::rst:
      return state == opening ? aborted : reset;
  }
  return state;
}

void Runner::take(const Expire& expire) {
  note(text(Step(expire)));
  std::vector<test::Bytes> by_ipvs;
  std::vector<test::Bytes> by_xlvs;
  for (Connection& connection : connections_) {
    if (connection.state != Connection::State::closed) continue;
    const test::Bytes frame = frame_of(setup_, connection.client, Packet::ack);
    if (connection.by.ipvs != 0) by_ipvs.push_back(frame);
    if (connection.by.xlvs != 0) by_xlvs.push_back(frame);
    given_by_ipvs_.count(setup_, connection.by.ipvs, -1);
    given_by_xlvs_.count(setup_, connection.by.xlvs, -1);
    connection.state = Connection::State::ended;
  }
  report_.packets += by_ipvs.size();
  ipvs_.expire(setup_, by_ipvs);
  xlvs_.expire(setup_, by_xlvs);
}

void Runner::take(const More& more) {
  note(text(Step(more)));
  if (!setup_.scheduling.one_packet) send(connections_.at(more.connection), more.packet);
}

template <typename Change>
void Runner::take(const Change& change) {
  note(text(Step(change)));
  ipvs_.change(setup_, change);
  xlvs_.change(setup_, change);
  given_by_ipvs_.change(change);
  given_by_xlvs_.change(change);
  setup_ = changed(setup_, change);
}

void Runner::compare_counts() {
  const auto ipvs = ipvs_.counts(setup_);
  const auto xlvs = xlvs_.counts(setup_);
  if (ipvs == xlvs) return;
  report_.wrong = "open connections (server: active+inactive), in the order of the list: IPVS " +
                  text(ipvs) + "; xlvs " + text(xlvs);
}

Report Runner::run(const Case& what) {
  report_ = {};
  connections_.clear();
  given_by_ipvs_ = given_by_xlvs_ = {};
  setup_ = what.setup;
  note(ipvsadm_lines(setup_) + configuration_text(setup_));
  ipvs_.begin(setup_);
  xlvs_.begin(setup_);
  for (const Step& step : what.steps) {
    std::visit([this](const auto& one) { take(one); }, step);
    if (report_.wrong) return std::move(report_);
  }
  if (is_exact(setup_.scheduling.scheduler)) compare_counts();
  return std::move(report_);
}

}  // namespace xlvs::differential
