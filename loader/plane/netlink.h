// SPDX-License-Identifier: MIT
#pragma once

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "loader/base/address.h"
#include "loader/base/fd.h"
#include "loader/base/result.h"

struct nl_msg;

// RTNETLINK: messages are built and read with libnl, errors are the kernel's errno.
namespace xlvs::netlink {

// Marks what an xlvs agent made (IFA_PROTO, NDA_PROTOCOL), so that the next agent knows it after a
// kill -9. Not among the numbers of iproute2's rt_protos.
constexpr uint8_t our_protocol = 88;

// A request under construction.
class Message {
 public:
  // `type` is RTM_*, `flags` NLM_F_* (request and acknowledge are added).
  Message(uint16_t type, int flags);

  // The fixed part that follows the netlink header: ndmsg, ifaddrmsg, rtmsg, ...; comes first.
  template <typename T>
  Message& header(const T& fixed) {
    return append(&fixed, sizeof fixed);
  }
  Message& put(int attribute, const void* data, size_t size);
  Message& put(int attribute, const Address& address);
  Message& put(int attribute, const std::string& text);
  Message& put_u8(int attribute, uint8_t value) { return put(attribute, &value, sizeof value); }
  Message& put_u32(int attribute, uint32_t value) { return put(attribute, &value, sizeof value); }

  [[nodiscard]] nlmsghdr* raw() const;

 private:
  struct Free {
    void operator()(nl_msg* message) const;
  };
  Message& append(const void* data, size_t size);

  std::unique_ptr<nl_msg, Free> message_;
};

// What the kernel sent; valid as long as the buffer that it was received into.
class View {
 public:
  explicit View(const nlmsghdr& message) : message_(&message) {}

  [[nodiscard]] uint16_t type() const { return message_->nlmsg_type; }
  // The fixed part, nothing if the message is too short for one.
  template <typename T>
  [[nodiscard]] const T* header() const {
    if (message_->nlmsg_len < NLMSG_LENGTH(sizeof(T))) return nullptr;
    return static_cast<const T*>(payload());
  }
  // `fixed` is the fixed part's size. An attribute that is absent or of a wrong size is nothing.
  [[nodiscard]] bool has(size_t fixed, int attribute) const;
  [[nodiscard]] std::optional<uint8_t> u8(size_t fixed, int attribute) const;
  [[nodiscard]] std::optional<uint32_t> u32(size_t fixed, int attribute) const;
  [[nodiscard]] std::optional<Address> address(size_t fixed, int attribute) const;
  [[nodiscard]] std::optional<Mac> mac(size_t fixed, int attribute) const;
  [[nodiscard]] std::optional<std::string> text(size_t fixed, int attribute) const;
  // Of an attribute within another.
  [[nodiscard]] std::optional<std::string> nested_text(size_t fixed, int outer,
                                                       int attribute) const;
  // The attribute's bytes; empty where it is absent.
  [[nodiscard]] std::span<const std::byte> bytes(size_t fixed, int attribute) const;

 private:
  [[nodiscard]] const void* payload() const;

  const nlmsghdr* message_;
};

// An address of 4 or 16 bytes in network order; nothing for another size.
std::optional<Address> address_from_wire(std::span<const std::byte> wire);

// Calls `each` for every message in the buffer.
void for_each_message(std::span<std::byte> buffer,
                      const std::function<void(const nlmsghdr&)>& each);

// A socket for requests. The kernel works rtnetlink off within send(), so that waiting for its
// answer costs microseconds (a dump: as long as it takes to read).
class Socket {
 public:
  static Result<Socket> open();

  // Sends, and hands every message that answers to `answer`. A dump that raced with a change is
  // asked for again, so that `answer` may see an entry twice. `tried` begins the error's text.
  Result<void> request(const Message& message, const std::string& tried,
                       const std::function<void(const View&)>& answer = {});

 private:
  explicit Socket(Fd fd);
  Result<void> exchange(const Message& message, const std::string& tried,
                        const std::function<void(const View&)>& answer);

  Fd fd_;
  uint32_t sequence_ = 0;
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace xlvs::netlink
