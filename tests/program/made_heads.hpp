// Small heads, written as files. For tests only.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "merge/head.hpp"
#include "tests/merge/tensors.hpp"

namespace tutti::test {

/// A head with only `weight` [classes, features] and this `metadata`.
inline void write_head(const std::filesystem::path& file, std::int64_t classes, std::int64_t features,
                       const std::vector<float>& weight, const std::map<std::string, std::string>& metadata = {}) {
  merge::test::write(file, {merge::test::f32("weight", {classes, features}, weight)}, metadata);
}

}  // namespace tutti::test
