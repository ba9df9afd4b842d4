// Names that look the same, compared as equal. A library of its own, so that workers do not load utf8proc.
#pragma once

#include <string>
#include <string_view>

namespace tutti {

/// `text` in the composed form of Unicode (NFC): a typed "é" is one code point, and that of a folder made on a Mac two.
/// Text that is not UTF-8 stays as it is.
std::string composed(std::string_view text);

}  // namespace tutti
