// The files besides an ONNX model that hold its weights.
#include "common/onnx_files.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/common/onnx_message.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

/// A folder with a model and the files w, v and below/w.
struct Models {
  TemporaryFolder folder;

  Models() {
    std::filesystem::create_directory(folder / "below");
    for (const char* const name : {"w", "v", "below/w"}) std::ofstream(folder / name) << name;
  }
  /// What is found of a model with these bytes, relative to the folder.
  std::vector<std::string> found(const std::string& bytes) const {
    std::ofstream(folder / "m.onnx", std::ios::binary) << bytes;
    std::vector<std::string> names;
    for (const std::filesystem::path& file : onnx_weight_files(folder / "m.onnx"))
      names.push_back(file.lexically_relative(folder.path()).string());
    return names;
  }
};
using Names = std::vector<std::string>;

TEST_CASE("the files of a model's weights are found under any name and each once") {
  const Models models;
  CHECK(models.found(onnx_model("w")) == Names{"w"});
  CHECK(models.found(onnx_model("w") + onnx_model("below/w") + onnx_model("v") + onnx_model("w")) ==
        Names{"below/w", "v", "w"});
  CHECK(models.found(onnx_model("absent")).empty());
  CHECK(models.found(onnx_model("below")).empty());
}

TEST_CASE("weights of constants in nodes and in graphs of nodes are found") {
  const Models models;
  const auto attribute = [](const std::string& content) { return onnx_field(1, onnx_field(5, content)); };
  CHECK(models.found(onnx_field(7, attribute(onnx_field(5, onnx_tensor("w"))))) == Names{"w"});
  CHECK(models.found(onnx_field(7, attribute(onnx_field(6, onnx_field(5, onnx_tensor("v")))))) == Names{"v"});
  CHECK(models.found(onnx_field(7, onnx_field(15, onnx_field(1, onnx_tensor("w"))))) == Names{"w"});
}

TEST_CASE("graphs in graphs are followed as deep as models have them") {
  const Models models;
  const auto nested = [](int levels) {
    std::string graph = onnx_field(5, onnx_tensor("w"));
    for (int level = 0; level < levels; ++level) graph = onnx_field(1, onnx_field(5, onnx_field(6, graph)));
    return onnx_field(7, graph);
  };
  CHECK(models.found(nested(15)) == Names{"w"});
  CHECK(models.found(nested(1000)).empty());
}

TEST_CASE("what is around the names is passed over, however long it is") {
  const Models models;
  const std::string values = onnx_field(5, onnx_field(9, std::string(50000, 'x')));
  CHECK(models.found("\x08\x08" + onnx_field(7, onnx_field(2, "name") + values + onnx_field(5, onnx_tensor("w")))) ==
        Names{"w"});
}

TEST_CASE("names that lead out of the model's folder are left out") {
  const Models models;
  std::ofstream(models.folder / "below" / "m.onnx", std::ios::binary) << onnx_model("../w");
  CHECK(onnx_weight_files(models.folder / "below" / "m.onnx").empty());
  CHECK(models.found(onnx_model("/etc/passwd")).empty());
  CHECK(models.found(onnx_model("below/../w")).empty());
  CHECK(models.found(onnx_model(std::string_view("w\0", 2))).empty());
}

TEST_CASE("a file that is damaged or no model has the names before that") {
  const Models models;
  CHECK(models.found("").empty());
  CHECK(models.found("version https://git-lfs.github.com/spec/v1\n").empty());
  const std::string whole = onnx_model("w") + onnx_model("v");
  CHECK(models.found(whole.substr(0, whole.size() - 3)) == Names{"w"});
  CHECK(onnx_weight_files(models.folder / "nowhere").empty());
  CHECK(onnx_weight_files(models.folder.path()).empty());
}

}  // namespace
}  // namespace tutti::test
