// The only exception type that Tutti throws. Not a logging facility: an Error means that something cannot continue.
//
// This header, like all of <tutti/...>, is a layer of plain values below everything else: any folder may include it.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

/// Marks the classes and functions that the library exports.
#if defined(__GNUC__)
#define TUTTI_API __attribute__((visibility("default")))
#else
#define TUTTI_API
#endif

/// The public names of Tutti.
namespace tutti {

/// What the caller can do about an error; the programs turn it into their exit code.
enum class ErrorKind {
  usage,        ///< the configuration or the call is wrong: correct it and try again (exit code 2)
  failed,       ///< something broke while running: a worker, a device, a disk (exit code 1)
  interrupted,  ///< the user or the owner of the object ended it (exit code 130 or 143)
};

/// An error for people: a primary line, optionally a detail (the facts) and a hint (what to do). `what()` holds all
/// three, each on its own line. Thrown on any thread; copying is cheap enough for std::exception_ptr.
class TUTTI_API Error : public std::runtime_error {
 public:
  /// `message` is one line without a full stop; `detail` may have several lines.
  explicit Error(ErrorKind kind, std::string message, std::string detail = {}, std::string hint = {})
      : std::runtime_error(compose(message, detail, hint)),
        kind_(kind),
        message_(std::move(message)),
        detail_(std::move(detail)),
        hint_(std::move(hint)) {}

  ErrorKind kind() const noexcept { return kind_; }                 ///< what the caller can do
  const std::string& message() const noexcept { return message_; }  ///< one line, no full stop
  const std::string& detail() const noexcept { return detail_; }    ///< may be empty, may have several lines
  const std::string& hint() const noexcept { return hint_; }        ///< may be empty

 private:
  static std::string compose(const std::string& message, const std::string& detail, const std::string& hint) {
    std::string text = message;
    if (!detail.empty()) text += "\n  detail: " + detail;
    if (!hint.empty()) text += "\n  hint: " + hint;
    return text;
  }

  ErrorKind kind_;
  std::string message_;
  std::string detail_;
  std::string hint_;
};

}  // namespace tutti
