// SPDX-License-Identifier: MIT
#include "loader/plane/netlink.h"

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <new>

namespace xlvs::netlink {
namespace {

// The kernel fills at most 32 KiB of a reader's buffer in a dump (netlink_recvmsg).
constexpr size_t buffer_size = 32768;

}  // namespace

Message::Message(uint16_t type, int flags)
    : message_(nlmsg_alloc_simple(type, flags | NLM_F_REQUEST | NLM_F_ACK)) {
  if (!message_) throw std::bad_alloc();
}

void Message::Free::operator()(nl_msg* message) const { nlmsg_free(message); }

Message& Message::append(const void* data, size_t size) {
  void* place = nlmsg_reserve(message_.get(), size, NLMSG_ALIGNTO);
  if (place == nullptr) throw std::bad_alloc();
  std::memcpy(place, data, size);
  return *this;
}

Message& Message::put(int attribute, const void* data, size_t size) {
  // A message has room for a page, requests take some 100 bytes.
  if (nla_put(message_.get(), attribute, static_cast<int>(size), data) < 0) throw std::bad_alloc();
  return *this;
}

Message& Message::put(int attribute, const Address& address) {
  return put(attribute, address.wire().data(), address.wire().size());
}

Message& Message::put(int attribute, const std::string& text) {
  return put(attribute, text.c_str(), text.size() + 1);
}

nlmsghdr* Message::raw() const { return nlmsg_hdr(message_.get()); }

const void* View::payload() const { return nlmsg_data(message_); }

std::span<const std::byte> View::bytes(size_t fixed, int attribute) const {
  if (message_->nlmsg_len < NLMSG_LENGTH(fixed)) return {};
  const int length = static_cast<int>(fixed);
  const nlattr* found =
      nla_find(nlmsg_attrdata(message_, length), nlmsg_attrlen(message_, length), attribute);
  if (found == nullptr) return {};
  return {static_cast<const std::byte*>(nla_data(found)), static_cast<size_t>(nla_len(found))};
}

bool View::has(size_t fixed, int attribute) const {
  return bytes(fixed, attribute).data() != nullptr;
}

std::optional<uint8_t> View::u8(size_t fixed, int attribute) const {
  const auto found = bytes(fixed, attribute);
  if (found.size() != sizeof(uint8_t)) return std::nullopt;
  return static_cast<uint8_t>(found[0]);
}

std::optional<uint32_t> View::u32(size_t fixed, int attribute) const {
  const auto found = bytes(fixed, attribute);
  uint32_t value = 0;
  if (found.size() != sizeof value) return std::nullopt;
  std::memcpy(&value, found.data(), sizeof value);
  return value;
}

std::optional<Address> View::address(size_t fixed, int attribute) const {
  return address_from_wire(bytes(fixed, attribute));
}

std::optional<Mac> View::mac(size_t fixed, int attribute) const {
  const auto found = bytes(fixed, attribute);
  Mac mac;
  if (found.size() != mac.bytes.size()) return std::nullopt;
  std::memcpy(mac.bytes.data(), found.data(), found.size());
  return mac;
}

std::optional<std::string> View::text(size_t fixed, int attribute) const {
  const auto found = bytes(fixed, attribute);
  if (found.empty()) return std::nullopt;
  const auto* first = reinterpret_cast<const char*>(found.data());
  return std::string(first, strnlen(first, found.size()));
}

std::optional<std::string> View::nested_text(size_t fixed, int outer, int attribute) const {
  const auto within = bytes(fixed, outer);
  if (within.empty()) return std::nullopt;
  const auto* attributes = reinterpret_cast<const nlattr*>(within.data());
  const nlattr* found = nla_find(attributes, static_cast<int>(within.size()), attribute);
  if (found == nullptr) return std::nullopt;
  const auto* first = static_cast<const char*>(nla_data(found));
  return std::string(first, strnlen(first, static_cast<size_t>(nla_len(found))));
}

std::optional<Address> address_from_wire(std::span<const std::byte> wire) {
  in_addr v4{};
  in6_addr v6{};
  if (wire.size() == sizeof v4) {
    std::memcpy(&v4, wire.data(), sizeof v4);
    return Address(v4);
  }
  if (wire.size() == sizeof v6) {
    std::memcpy(&v6, wire.data(), sizeof v6);
    return Address(v6);
  }
  return std::nullopt;
}

void for_each_message(std::span<std::byte> buffer,
                      const std::function<void(const nlmsghdr&)>& each) {
  int left = static_cast<int>(buffer.size());
  auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
  for (; nlmsg_ok(message, left) != 0; message = nlmsg_next(message, &left)) each(*message);
}

Socket::Socket(Fd fd) : fd_(std::move(fd)), buffer_(std::make_unique<std::byte[]>(buffer_size)) {}

Result<Socket> Socket::open() {
  Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  if (!fd) return Error::from_errno("open a netlink socket");
  // Never met; rather an error than an agent that hangs.
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return Socket(std::move(fd));
}

Result<void> Socket::request(const Message& message, const std::string& tried,
                             const std::function<void(const View&)>& answer) {
  constexpr int attempts = 5;
  Result<void> result;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    result = exchange(message, tried, answer);
    if (result || result.error().code != EINTR) break;
  }
  return result;
}

Result<void> Socket::exchange(const Message& message, const std::string& tried,
                              const std::function<void(const View&)>& answer) {
  nlmsghdr* header = message.raw();
  header->nlmsg_seq = ++sequence_;
  if (::send(fd_.get(), header, header->nlmsg_len, 0) < 0) return Error::from_errno(tried);

  int failure = 0;
  bool done = false;
  const auto take = [&](const nlmsghdr& received) {
    if (received.nlmsg_seq != sequence_ || done) return;
    if ((received.nlmsg_flags & NLM_F_DUMP_INTR) != 0) failure = EINTR;
    if (received.nlmsg_type == NLMSG_ERROR || received.nlmsg_type == NLMSG_DONE) {
      // Both begin with an int: 0 or -errno (nlmsgerr.error; the result of a dump).
      const int* code = View(received).header<int>();
      if (code != nullptr && *code < 0) failure = -*code;
      done = true;
    } else if (answer && received.nlmsg_type >= NLMSG_MIN_TYPE) {
      answer(View(received));
    }
  };
  while (!done) {
    const ssize_t size = ::recv(fd_.get(), buffer_.get(), buffer_size, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error::from_errno(tried);
    for_each_message({buffer_.get(), static_cast<size_t>(size)}, take);
  }
  if (failure != 0) return Error::from_code(tried, failure);
  return {};
}

}  // namespace xlvs::netlink
