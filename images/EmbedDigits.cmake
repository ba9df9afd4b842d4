# Writes OUTPUT, a C++ file that defines kDigitsBytes of images/digits_bytes.hpp over the bytes of INPUT. An .incbin
# would be shorter, but hides its input from ccache and needs another language in the build.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "// Generated from images/data/digits.bin.
#include \"images/digits_bytes.hpp\"
namespace tutti::images {
namespace {
constexpr std::uint8_t kBytes[] = {
${bytes}
};
}  // namespace
constinit const std::span<const std::uint8_t> kDigitsBytes{kBytes};
}  // namespace tutti::images
")
