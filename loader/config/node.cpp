// SPDX-License-Identifier: MIT
#include "loader/config/node.h"

namespace xlvs::config {

Node Node::operator[](const std::string& key) const {
  const bool has = present() && value_->is_object() && value_->contains(key);
  return {*document_, has ? &value_->at(key) : nullptr, member(pointer_, key)};
}

std::vector<Node> Node::elements() const {
  std::vector<Node> nodes;
  if (!present()) return nodes;
  for (size_t i = 0; i < value_->size(); ++i) {
    Node node(*document_, &value_->at(i), pointer_ + "/" + std::to_string(i));
    if (node.present()) nodes.push_back(std::move(node));
  }
  return nodes;
}

Problem Report::problem(const Node& node, const std::string& message,
                        const std::string& suggestion) {
  const Location& location = node.location();
  return {location.value.line, location.value.column, location.path, message, suggestion};
}

}  // namespace xlvs::config
