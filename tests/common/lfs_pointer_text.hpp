// What a clone holds in the place of a file that Git LFS keeps. For tests only.
#pragma once

#include <string>

namespace tutti::test {

inline const std::string kLfsPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n";

}  // namespace tutti::test
