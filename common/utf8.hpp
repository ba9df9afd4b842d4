// Text that has to be UTF-8, as JSON has, made of text that may be anything: words of an exception, names of files.
#pragma once

#include <string>
#include <string_view>

namespace tutti {

/// `text` with a question mark for every byte that is not part of a letter.
std::string as_utf8(std::string_view text);

}  // namespace tutti
