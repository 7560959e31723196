// SPDX-License-Identifier: MIT
#include "loader/state/differences.h"

#include <algorithm>

#include "loader/state/words.h"

namespace xlvs {

namespace {

using Lines = std::vector<std::string>;

std::string arrow(const std::string& before, const std::string& after) {
  return before + " -> " + after;
}

std::string arrow(std::string_view before, std::string_view after) {
  return arrow(std::string(before), std::string(after));
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// The service of the same address, the backend of the same address and forwarding: what packets
// know them by.
const Service* find(const std::vector<Service>& services, const Service& wanted) {
  const auto found = std::find_if(services.begin(), services.end(),
                                  [&](const Service& one) { return one.key == wanted.key; });
  return found == services.end() ? nullptr : &*found;
}

const Backend* find(const std::vector<Backend>& backends, const Backend& wanted) {
  const auto found = std::find_if(backends.begin(), backends.end(), [&](const Backend& one) {
    return one.endpoint == wanted.endpoint && one.forwarding == wanted.forwarding;
  });
  return found == backends.end() ? nullptr : &*found;
}

std::vector<ServiceKey> only_in(std::vector<ServiceKey> some,
                                const std::vector<ServiceKey>& others) {
  std::erase_if(some, [&](const ServiceKey& one) {
    return std::find(others.begin(), others.end(), one) != others.end();
  });
  return some;
}

std::string fallback_of(const Service& service) {
  return service.fallback ? shown_text(service.fallback->endpoint, service.port()) : "none";
}

std::string name_of(const Service& service, const Backend& backend) {
  return "backend " + shown_text(backend.endpoint, service.port());
}

std::string text(const Tunnel& tunnel) {
  std::string text(word(tunnel.type));
  if (tunnel.port != 0) text += " " + std::to_string(tunnel.port);
  return tunnel.checksum ? text + " with checksum" : text;
}

std::string text(const Mss& mss) {
  if (mss.fits_tunnel) return "auto";
  return mss.most == 0 ? "off" : std::to_string(mss.most);
}

void compare(const std::string& name, const Backend& before, const Backend& after, Lines& lines) {
  if (before.weight != after.weight) {
    lines.push_back(name + ", weight " +
                    arrow(std::to_string(before.weight), std::to_string(after.weight)));
  }
  if (before.max_connections != after.max_connections ||
      before.min_connections != after.min_connections) {
    lines.push_back(
        name + ", max_connections " +
        arrow(std::to_string(before.max_connections), std::to_string(after.max_connections)) +
        ", min_connections " +
        arrow(std::to_string(before.min_connections), std::to_string(after.min_connections)));
  }
  if (before.tunnel != after.tunnel) {
    lines.push_back(name + ", tunnel " + arrow(text(before.tunnel), text(after.tunnel)));
  }
  if (before.check != after.check) lines.push_back(name + ", its check has changed");
}

void compare(const std::string& where, const Scheduling& old, const Scheduling& now, Lines& lines) {
  if (old.scheduler != now.scheduler) {
    lines.push_back(where + "scheduler " + arrow(word(old.scheduler), word(now.scheduler)));
  }
  if (old.hash != now.hash) {
    lines.push_back(where + "hash " + arrow(word(old.hash), word(now.hash)));
  }
  if (old.slots != now.slots) {
    lines.push_back(where + "slots " + arrow(std::to_string(old.slots), std::to_string(now.slots)));
  }
  if (old.strict_ipvs != now.strict_ipvs) {
    lines.push_back(where + "strict_ipvs " + (now.strict_ipvs ? "false -> true" : "true -> false"));
  }
  if (old.persistence != now.persistence) {
    lines.push_back(
        where + "persistence " +
        arrow(std::to_string(old.persistence.count()), std::to_string(now.persistence.count())) +
        " s");
  }
  if (old.prefix != now.prefix || old.expire_drained != now.expire_drained) {
    lines.push_back(where + "what persistence holds by has changed");
  }
  if (old.one_packet != now.one_packet) {
    lines.push_back(where + "one_packet " + (now.one_packet ? "false -> true" : "true -> false"));
  }
}

void compare_endpoints(const std::string& where, const Service& before, const Service& after,
                       Lines& lines) {
  for (const auto& endpoint : only_in(before.also, after.also)) {
    lines.push_back(where + endpoint.text() + " is no longer its endpoint");
  }
  for (const auto& endpoint : only_in(after.also, before.also)) {
    lines.push_back(where + endpoint.text() + " is its endpoint, too");
  }
}

void compare(const Service& before, const Service& after, Lines& lines) {
  const std::string where = "service " + after.name + ": ";
  if (before.name != after.name) lines.push_back(where + "its name was " + before.name);
  compare(where, before.scheduling, after.scheduling, lines);
  compare_endpoints(where, before, after, lines);
  if (before.mss != after.mss) {
    lines.push_back(where + "mss " + arrow(text(before.mss), text(after.mss)));
  }
  if (before.on_failure != after.on_failure) {
    lines.push_back(where + "on_failure " +
                    arrow(words::find(words::on_failures, before.on_failure),
                          words::find(words::on_failures, after.on_failure)));
  }
  for (const auto& backend : before.backends) {
    if (find(after.backends, backend) == nullptr) {
      lines.push_back(where + name_of(before, backend) + " (" +
                      std::string(word(backend.forwarding)) + ") removed, its connections go on");
    }
  }
  for (const auto& backend : after.backends) {
    if (const Backend* was = find(before.backends, backend)) {
      compare(where + name_of(after, backend), *was, backend, lines);
    } else {
      lines.push_back(where + name_of(after, backend) + " (" +
                      std::string(word(backend.forwarding)) + ", weight " +
                      std::to_string(backend.weight) + ") added");
    }
  }
  if (before.fallback != after.fallback) {
    lines.push_back(where + "fallback " + arrow(fallback_of(before), fallback_of(after)));
  }
}

}  // namespace

std::vector<std::string> differences(const Configuration& before, const Configuration& after) {
  Lines lines;
  if (before.interfaces != after.interfaces) {
    lines.push_back("interfaces " + arrow(join(before.interfaces), join(after.interfaces)));
  }
  if (before.mode != after.mode) {
    lines.push_back("mode " + arrow(word(before.mode), word(after.mode)));
  }
  if (before.manage_vips != after.manage_vips) {
    lines.push_back(std::string("manage_vips ") +
                    (after.manage_vips ? "false -> true" : "true -> false"));
  }
  if (before.on_stop != after.on_stop) {
    lines.push_back("on_stop " + arrow(words::find(words::on_stops, before.on_stop),
                                       words::find(words::on_stops, after.on_stop)));
  }
  if (before.timeouts != after.timeouts) lines.emplace_back("timeouts have changed");
  if (before.tables != after.tables) lines.emplace_back("tables have changed");
  if (before.refusals_per_second != after.refusals_per_second) {
    lines.push_back("refusals_per_second " + arrow(std::to_string(before.refusals_per_second),
                                                   std::to_string(after.refusals_per_second)));
  }
  for (const auto& service : before.services) {
    if (find(after.services, service) == nullptr) {
      lines.push_back("service " + service.name + " (" + service.key.text() +
                      ") removed with its connections");
    }
  }
  for (const auto& service : after.services) {
    if (const Service* old = find(before.services, service)) {
      compare(*old, service, lines);
    } else {
      lines.push_back("service " + service.name + " (" + service.key.text() + ", " +
                      counted(service.backends.size(), "backend") + ") added");
    }
  }
  return lines;
}

}  // namespace xlvs
