// Control messages as a broken worker could send them: rejected with a message, or understood, and then the message is
// the same after another round.
#include "common/wire/control.hpp"

#include "tests/fuzz/fuzz.hpp"

using namespace tutti;

namespace {

/// The text of a message; nothing if it would be longer than allowed (numbers may be written longer than they came).
std::string encoded(const control::Message& message) {
  try {
    return control::encode(message);
  } catch (const Error& error) {
    fuzz::must(error.kind() == ErrorKind::usage, "only the length is the user's fault");
    return {};
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  control::Message message;
  try {
    message = control::decode(fuzz::text_of(data, size));
  } catch (const Error& error) {
    fuzz::must(error.kind() == ErrorKind::failed, "a malformed message is not the user's fault");
    fuzz::must(std::string_view(error.what()).size() < 1000, "an error is short for every input");
    return 0;
  }
  const std::string once = encoded(message);
  fuzz::must(once.size() <= control::kMaxBytes, "a message keeps within its bound");
  if (once.empty()) return 0;
  const control::Message again = control::decode(once);
  fuzz::must(again.index() == message.index(), "a message keeps its type");
  fuzz::must(encoded(again) == once, "a message is the same after another round");
  return 0;
}
