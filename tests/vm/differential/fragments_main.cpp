// SPDX-License-Identifier: MIT
// Datagrams in fragments by IPVS and by xlvs: the frames that leave, byte by byte. IPVS puts them
// together and cuts them again, so what may differ is the id that it chooses anew for IPv6.
#include <algorithm>
#include <iostream>

#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"
#include "tests/harness/director.h"
#include "tests/harness/fragments.h"
#include "tests/vm/differential/ipvs_side.h"

namespace xlvs::differential {

namespace {

using Frames = std::vector<test::Bytes>;

constexpr uint8_t server = 1;
constexpr uint16_t client_port = 4000;
constexpr uint16_t first_port = 5000;

struct Kind {
  std::string name;
  int family = AF_INET;
  forwarding forward = FORWARDING_DR;
  bool swapped = false;  // the later fragments come in another order
};

test::Packet ip(const Address& source, const Address& destination, uint16_t id) {
  if (source.is_v4()) {
    return test::IPv4{.saddr = source, .daddr = destination, .id = id, .dont_fragment = false};
  }
  return test::IPv6{.saddr = source, .daddr = destination};
}

test::Payload text() {
  test::Bytes bytes(4000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  return test::Payload(bytes);
}

Frames fragments(const test::Packet& datagram, const Kind& kind) {
  // As much as a frame takes.
  Frames parts = split(datagram, {.size = kind.family == AF_INET ? 1480U : 1448U});
  // By NAT the order of arrival decides nothing either.
  if (kind.swapped) std::swap(parts.at(1), parts.at(2));
  return parts;
}

// Of IPv6, since IPVS has its own.
test::Bytes without_id(test::Bytes frame) {
  constexpr size_t next_header = 14 + 6;
  constexpr size_t id = 14 + 40 + 4;
  const bool is_v6_fragment =
      frame.size() > id + 4 && frame[12] == 0x86 && frame[next_header] == 44;
  if (is_v6_fragment) std::fill_n(frame.begin() + id, 4, uint8_t{0});
  return frame;
}

class Both {
 public:
  Both(IpvsSide& ipvs, uint16_t port) : ipvs_(ipvs), port_(port) {}

  // How many fragments differ.
  int compare(const Kind& kind) {
    Setup setup{.family = kind.family, .protocol = Protocol::udp, .port = port_++};
    const Endpoint vip = setup.service();
    const Endpoint backend = {setup.endpoint(server).address, backend_port(kind, vip.port)};
    const Address client = address_of({}, kind.family);
    std::vector<Frames> datagrams = {
        fragments(test::Ethernet{} / ip(client, vip.address, 7) /
                      test::UDP{.sport = client_port, .dport = vip.port} / text(),
                  kind)};
    if (kind.forward == FORWARDING_NAT) {
      datagrams.push_back(fragments(
          test::Ethernet{.source = test::backend_mac(server)} / ip(backend.address, client, 8) /
              test::UDP{.sport = backend.port, .dport = client_port} / text(),
          kind));
    }
    const std::string how = kind.forward == FORWARDING_NAT ? " -m" : " -g";
    const Frames by_ipvs = ipvs_.forward("-A -u " + vip.text() + " -s rr\n-a -u " + vip.text() +
                                             " -r " + backend.text() + how + " -w 1\n",
                                         datagrams);
    return judge(kind, by_ipvs, by_xlvs(kind, vip, backend, datagrams));
  }

 private:
  static uint16_t backend_port(const Kind& kind, uint16_t port) {
    return kind.forward == FORWARDING_NAT ? uint16_t(port + 1000) : port;
  }

  static Frames by_xlvs(const Kind& kind, const Endpoint& vip, const Endpoint& backend,
                        const std::vector<Frames>& datagrams) {
    // Its way back to the client is not to be found in IPVS's routes.
    Namespace::make().enter();
    test::Director director;
    const uint32_t id = director.add_backend(
        {.endpoint = backend, .forward = kind.forward, .mac = test::backend_mac(server)});
    director.add_service(vip, test::udp, {id});
    Frames all;
    for (const Frames& frames : datagrams) {
      for (const test::Bytes& frame : frames) all.push_back(director.run(frame).frame);
    }
    // IPVS's leave in order.
    if (kind.swapped) {
      for (size_t i = 0; i + 2 < all.size(); i += 3) std::swap(all.at(i + 1), all.at(i + 2));
    }
    return all;
  }

  static int judge(const Kind& kind, const Frames& by_ipvs, const Frames& by_xlvs) {
    int wrong = by_ipvs.size() == by_xlvs.size() && !by_ipvs.empty() ? 0 : 1;
    for (size_t i = 0; i < std::min(by_ipvs.size(), by_xlvs.size()); ++i) {
      const std::string seen = test::difference(without_id(by_ipvs[i]), without_id(by_xlvs[i]));
      if (seen.empty()) continue;
      ++wrong;
      std::cout << "fragment " << i << ": IPVS, xlvs\n" << seen;
    }
    std::cout << (wrong == 0 ? "same    " : "DIFFERS ") << kind.name << ": " << by_ipvs.size()
              << " frames of IPVS, " << by_xlvs.size() << " of xlvs\n";
    return wrong;
  }

  IpvsSide& ipvs_;
  uint16_t port_;
};

int run() {
  if (IpvsSide::load().empty()) {
    std::cerr << "differential_fragments: no IPVS in this kernel\n";
    return 2;
  }
  const Namespace world = Namespace::make();
  IpvsSide ipvs(world);
  Both both(ipvs, first_port);
  int wrong = 0;
  for (const bool swapped : {false, true}) {
    const std::string order = swapped ? ", the later ones in another order" : "";
    wrong += both.compare({"IPv4 by DR" + order, AF_INET, FORWARDING_DR, swapped});
    wrong += both.compare({"IPv6 by DR" + order, AF_INET6, FORWARDING_DR, swapped});
    wrong += both.compare({"IPv4 by NAT, both ways" + order, AF_INET, FORWARDING_NAT, swapped});
    wrong += both.compare({"IPv6 by NAT, both ways" + order, AF_INET6, FORWARDING_NAT, swapped});
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace

}  // namespace xlvs::differential

int main() {
  try {
    return xlvs::differential::run();
  } catch (const std::exception& error) {
    std::cerr << "differential_fragments: " << error.what() << "\n";
    return 2;
  }
}
