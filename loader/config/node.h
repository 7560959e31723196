// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loader/config/document.h"
#include "loader/state/words.h"

namespace xlvs::config {

// One value of a validated document and where it is. A member or element that is not there, or
// was taken out, is an absent node at its place.
class Node {
 public:
  explicit Node(const Document& document) : Node(document, &document.value, "") {}

  [[nodiscard]] bool present() const { return value_ != nullptr && !value_->is_null(); }
  // Whether the file says `null`, as opposed to nothing.
  [[nodiscard]] bool is_null() const { return value_ != nullptr && value_->is_null(); }
  [[nodiscard]] const Json& json() const { return *value_; }
  [[nodiscard]] const Location& location() const { return document_->at(pointer_); }

  Node operator[](const std::string& key) const;
  // Of a list: its elements that are present.
  [[nodiscard]] std::vector<Node> elements() const;

  template <typename T>
  [[nodiscard]] T get_or(const T& otherwise) const {
    return present() ? value_->get<T>() : otherwise;
  }

 private:
  Node(const Document& document, const Json* value, std::string pointer)
      : document_(&document), value_(value), pointer_(std::move(pointer)) {}

  const Document* document_;
  const Json* value_;
  std::string pointer_;
};

template <typename E, size_t size>
E word_or(const Node& node, const WordTable<E, size>& table, E otherwise) {
  if (!node.present()) return otherwise;
  const auto& word = node.json().get_ref<const std::string&>();
  for (const auto& [name, value] : table) {
    if (name == word) return value;
  }
  return otherwise;
}

// Collects what is wrong and what is worth a word, each at its node.
class Report {
 public:
  void error(const Node& node, const std::string& message, const std::string& suggestion = "") {
    errors_.push_back(problem(node, message, suggestion));
  }
  void note(const Node& node, const std::string& message, const std::string& suggestion = "") {
    notes_.push_back(problem(node, message, suggestion));
  }
  [[nodiscard]] const std::vector<Problem>& errors() const { return errors_; }
  [[nodiscard]] const std::vector<Problem>& notes() const { return notes_; }

 private:
  static Problem problem(const Node& node, const std::string& message,
                         const std::string& suggestion);

  std::vector<Problem> errors_;
  std::vector<Problem> notes_;
};

}  // namespace xlvs::config
