// SPDX-License-Identifier: MIT
#include "loader/config/document.h"

#include <algorithm>
#include <string_view>

#include "loader/config/syntax.h"

namespace xlvs::config {

namespace {

// The schema goes 5 deep. The limits keep what recurses over values (valijson, std::regex) within
// the stack.
constexpr size_t max_depth = 16;
constexpr size_t max_string = 4096;
constexpr size_t max_quoted = 48;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

size_t skip_digits(const std::string& text, size_t at) {
  return std::min(text.find_first_not_of("0123456789", at), text.size());
}

size_t end_of_string(const std::string& text, size_t at) {
  for (++at; text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

// RFC 8259, 6: of "01" only the 0 is a number.
size_t end_of_number(const std::string& text, size_t at) {
  if (text[at] == '-') ++at;
  at = text[at] == '0' ? at + 1 : skip_digits(text, at);
  if (at < text.size() && text[at] == '.') at = skip_digits(text, at + 1);
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (text[at] == '+' || text[at] == '-') ++at;
    at = skip_digits(text, at);
  }
  return at;
}

// Of the token at `at`, which the parser has accepted.
size_t end_of_token(const std::string& text, size_t at) {
  switch (text[at]) {
    case '"':
      return end_of_string(text, at);
    case '{':
    case '}':
    case '[':
    case ']':
      return at + 1;
    case 't':
    case 'n':
      return at + 4;  // true, null
    case 'f':
      return at + 5;  // false
    default:
      return end_of_number(text, at);
  }
}

// Turns offsets, which only grow, into places. Characters are counted, not bytes: the second and
// later bytes of a UTF-8 sequence are 10xxxxxx.
class Cursor {
 public:
  explicit Cursor(const std::string& text) : text_(&text) {}

  [[nodiscard]] size_t offset() const { return offset_; }
  [[nodiscard]] Place place() const { return place_; }
  void advance_to(size_t offset) {
    for (; offset_ < offset && offset_ < text_->size(); ++offset_) {
      const char c = (*text_)[offset_];
      if (c == '\n') {
        place_ = {place_.line + 1, 1};
      } else if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U) {
        ++place_.column;
      }
    }
  }

 private:
  const std::string* text_;
  size_t offset_ = 0;
  Place place_;
};

// Builds the document from the parser's events. Each event but those for ',' and ':' is one token,
// so the start of a token is the next thing after the last one that is not space, ',' or ':'.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(const std::string& text, Document& document)
      : text_(&text), document_(&document), cursor_(text) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool binary(binary_t&) override { return false; }
  bool string(string_t& value) override { return fits(value) && add(value); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override;
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& what) override;

 private:
  struct Level {
    Json* value;
    std::string pointer;
    std::string path;
  };

  [[nodiscard]] size_t next_token() const;
  void skip_token();
  Json* attach(Json value);
  bool add(Json value);
  bool open(Json value);
  bool close();
  bool fits(const std::string& text);
  [[nodiscard]] std::string syntax(size_t at, const std::string& explained) const;
  bool fail(const std::string& message, const std::string& suggestion);

  const std::string* text_;
  Document* document_;
  Cursor cursor_;
  std::vector<Level> levels_;  // the open objects and arrays
  std::string key_;            // of the member to come
  Place key_place_;
};

size_t Builder::next_token() const {
  size_t at = cursor_.offset();
  while (at < text_->size() &&
         (is_space((*text_)[at]) || (*text_)[at] == ',' || (*text_)[at] == ':')) {
    ++at;
  }
  return at;
}

void Builder::skip_token() { cursor_.advance_to(end_of_token(*text_, cursor_.offset())); }

// The value as the next member or element of what is open, with its location.
Json* Builder::attach(Json value) {
  cursor_.advance_to(next_token());
  Location location{cursor_.place(), cursor_.place(), ""};
  if (levels_.empty()) {
    document_->value = std::move(value);
    document_->locations[""] = location;
    return &document_->value;
  }
  const Level& level = levels_.back();
  std::string pointer;
  Json* attached = nullptr;
  if (level.value->is_array()) {
    const std::string index = std::to_string(level.value->size());
    pointer = level.pointer + "/" + index;
    location.path = level.path + "[" + index + "]";
    attached = &level.value->emplace_back(std::move(value));
  } else {
    pointer = member(level.pointer, key_);
    location.key = key_place_;
    location.path = document_->locations[pointer].path;
    attached = &((*level.value)[key_] = std::move(value));
  }
  document_->locations[pointer] = location;
  return attached;
}

bool Builder::add(Json value) {
  attach(std::move(value));
  skip_token();
  return true;
}

bool Builder::open(Json value) {
  Level level{nullptr, "", ""};
  if (!levels_.empty()) {
    const Level& above = levels_.back();
    level.pointer = above.value->is_array()
                        ? above.pointer + "/" + std::to_string(above.value->size())
                        : member(above.pointer, key_);
  }
  level.value = attach(std::move(value));
  level.path = document_->locations[level.pointer].path;
  levels_.push_back(level);
  if (levels_.size() > max_depth) {
    return fail("nested deeper than " + std::to_string(max_depth) + " levels", "");
  }
  skip_token();
  return true;
}

bool Builder::close() {
  cursor_.advance_to(next_token());
  skip_token();
  levels_.pop_back();
  return true;
}

bool Builder::key(string_t& name) {
  if (!fits(name)) return false;
  cursor_.advance_to(next_token());
  key_ = name;
  key_place_ = cursor_.place();
  const Level& level = levels_.back();
  const bool plain = in_quotes(name) == "\"" + name + "\"";
  const std::string path =
      (level.path.empty() ? "" : level.path + ".") + (plain ? name : in_quotes(name));
  Location& location = document_->locations[member(level.pointer, name)];
  if (level.value->contains(name)) {
    document_->errors.push_back(
        {key_place_.line, key_place_.column, path,
         "is given twice, first at line " + std::to_string(location.key.line),
         "remove one of them"});
  }
  location = {key_place_, key_place_, path};
  skip_token();
  return true;
}

bool Builder::fits(const std::string& text) {
  if (text.size() <= max_string) return true;
  cursor_.advance_to(next_token());
  return fail("a text of " + std::to_string(text.size()) + " bytes, at most " +
                  std::to_string(max_string) + " are allowed",
              "");
}

bool Builder::fail(const std::string& message, const std::string& suggestion) {
  const Place place = cursor_.place();
  const std::string path = levels_.empty() ? "" : levels_.back().path;
  document_->errors.push_back({place.line, place.column, path, message, suggestion});
  return false;
}

bool Builder::parse_error(std::size_t position, const std::string& /*token*/,
                          const nlohmann::detail::exception& what) {
  const SyntaxFault fault = explain_syntax(*text_, cursor_.offset(), position, what.what());
  cursor_.advance_to(fault.offset);
  return fail(fault.message, fault.suggestion);
}

}  // namespace

Document read_document(const std::string& text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  const bool marked = text.compare(0, byte_order_mark.size(), byte_order_mark) == 0;
  const std::string body = marked ? text.substr(byte_order_mark.size()) : text;
  Document document;
  if (body.size() > max_text) {
    const std::string limit = std::to_string(max_text >> 20U) + " MiB";
    document.errors.push_back({1, 1, "", "the file is longer than " + limit, ""});
    return document;
  }
  // The parser takes a zero byte for the end of the text and would not look at what follows.
  if (const size_t zero = body.find('\0'); zero != std::string::npos) {
    Cursor cursor(body);
    cursor.advance_to(zero);
    const Place place = cursor.place();
    document.errors.push_back({place.line, place.column, "", "a zero byte: not a text file", ""});
    return document;
  }
  Builder builder(body, document);
  document.complete = Json::sax_parse(body, &builder);
  return document;
}

const Location& Document::at(const std::string& pointer) const {
  static const Location beginning;
  std::string nearest = pointer;
  while (true) {
    const auto found = locations.find(nearest);
    if (found != locations.end()) return found->second;
    if (nearest.empty()) return beginning;
    nearest.resize(nearest.rfind('/'));
  }
}

std::string member(const std::string& pointer, const std::string& key) {
  std::string escaped;
  for (const char c : key) {
    if (c == '~') {
      escaped += "~0";
    } else if (c == '/') {
      escaped += "~1";
    } else {
      escaped += c;
    }
  }
  return pointer + "/" + escaped;
}

std::string in_quotes(const std::string& text) {
  std::string shortened = text;
  if (text.size() > max_quoted) {
    size_t end = max_quoted;
    while ((static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;  // UTF-8 stays whole
    shortened = text.substr(0, end) + "...";
  }
  return Json(shortened).dump();
}

}  // namespace xlvs::config
