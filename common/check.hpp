// TUTTI_CHECK(slot < layout.slots): a check of what only a bug of Tutti can break. It stays in release builds. If it
// fails, it prints one line with the place, the text and the values of both operands to stderr, and aborts.
//
// It is not for what users, files, workers or the system can cause: that is an Error, or a value. Use it where going on
// would corrupt results or memory. assert() is for loops that are too hot for a branch.
//
//   TUTTI_CHECK(holds_[slot] > 0);
//   TUTTI_CHECK(!closed_, "close() is called once");
//
//   coordinator/pool/exchange.cpp:149: check failed: holds_[slot] > 0 (0 > 0)
//
// How it works: `Decompose{} <=> a == b` parses as `(Decompose{} <=> a) == b`, because <=> binds tighter than the
// comparisons and looser than arithmetic. The left operand is thus caught before it is compared. `a && b` works, but
// only the text is printed then: write two checks. A check that holds costs a compare and a branch that is never taken;
// nothing is formatted and nothing allocated, also when it fails.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tutti::check {

/// Where a check is written, its text, and why it must hold.
struct Site {
  const char* file;
  int line;
  const char* text;
  const char* why = nullptr;
};

/// The value of an operand, in a form that needs no template to be printed.
class Operand {
 public:
  enum class Kind { none, boolean, signed_number, unsigned_number, real, text, pointer };

  Operand() = default;
  template <class T>
  explicit Operand(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      set(Kind::boolean).unsigned_ = value ? 1 : 0;
    } else if constexpr (std::is_enum_v<T>) {
      *this = Operand(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      set(Kind::real).real_ = static_cast<double>(value);
    } else if constexpr (std::signed_integral<T>) {
      set(Kind::signed_number).signed_ = value;
    } else if constexpr (std::unsigned_integral<T>) {
      set(Kind::unsigned_number).unsigned_ = value;
    } else if constexpr (std::is_null_pointer_v<T>) {
      set(Kind::pointer).pointer_ = nullptr;
    } else if constexpr (std::is_pointer_v<T>) {
      set(Kind::pointer).pointer_ = reinterpret_cast<const void*>(value);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      set(Kind::text).text_ = value;
    } else if constexpr (requires {
                           value.value();
                           requires std::integral<decltype(value.value())>;
                         }) {
      *this = Operand(value.value());  // an id of common/ids.hpp
    }
  }

  /// Writes the value to `to`, at most `size` characters, and returns how many.
  std::size_t print(char* to, std::size_t size) const;
  bool printable() const noexcept { return kind_ != Kind::none; }

 private:
  Operand& set(Kind kind) {
    kind_ = kind;
    return *this;
  }

  Kind kind_ = Kind::none;
  union {
    std::int64_t signed_ = 0;
    std::uint64_t unsigned_;
    double real_;
    const void* pointer_;
  };
  std::string_view text_;
};

[[noreturn]] void fail(const Site& site, const Operand& left, const char* sign, const Operand& right) noexcept;
[[noreturn]] void fail(const Site& site) noexcept;

/// A comparison that was made. Lives, as its operands do, until the end of the full expression.
template <class Left, class Right>
struct Comparison {
  bool holds;
  const Left& left;
  const char* sign;
  const Right& right;
  explicit operator bool() const { return holds; }
};

// Signed and unsigned numbers are compared by their values, as std::cmp_less does: a literal beside a size is common.
template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
                 !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

/// The left operand, caught before it is compared; or the whole condition, if nothing is compared.
template <class Left>
struct Caught {
  const Left& left;
  explicit operator bool() const { return static_cast<bool>(left); }

#define TUTTI_CHECK_COMPARES(sign, by_value)                           \
  template <class Right>                                               \
  Comparison<Left, Right> operator sign(const Right& right) const {    \
    if constexpr (Number<Left> && Number<Right>) {                     \
      return {std::by_value(left, right), left, #sign, right};         \
    } else {                                                           \
      return {static_cast<bool>(left sign right), left, #sign, right}; \
    }                                                                  \
  }
  TUTTI_CHECK_COMPARES(==, cmp_equal)
  TUTTI_CHECK_COMPARES(!=, cmp_not_equal)
  TUTTI_CHECK_COMPARES(<, cmp_less)
  TUTTI_CHECK_COMPARES(<=, cmp_less_equal)
  TUTTI_CHECK_COMPARES(>, cmp_greater)
  TUTTI_CHECK_COMPARES(>=, cmp_greater_equal)
#undef TUTTI_CHECK_COMPARES
};

struct Decompose {
  template <class Left>
  Caught<Left> operator<=>(const Left& left) const {
    return {left};
  }
};

template <class Left, class Right>
void verify(const Site& site, const Comparison<Left, Right>& comparison) {
  if (!comparison.holds) [[unlikely]]
    fail(site, Operand(comparison.left), comparison.sign, Operand(comparison.right));
}
template <class Condition>
void verify(const Site& site, const Condition& condition) {
  if (!static_cast<bool>(condition)) [[unlikely]]
    fail(site);
}

}  // namespace tutti::check

/// `why`, a literal, is optional.
#define TUTTI_CHECK(condition, ...)                                                   \
  ::tutti::check::verify({__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__}, \
                         ::tutti::check::Decompose{} <=> condition)

/// The end of a switch over all cases, and the like. Does not return.
#define TUTTI_UNREACHABLE(why) ::tutti::check::fail({__FILE__, __LINE__, "unreachable", why})
