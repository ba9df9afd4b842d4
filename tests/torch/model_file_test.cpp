// Tests of files that were named as a model and are something else: what they are, and what makes a member of them.
#include <caffe2/serialize/inline_container.h>

#include <fstream>

#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::contains;
using test::error_of;
using test::request_for;
using test::TemporaryFolder;

/// The error of a member of this file.
Error refused_file(const std::filesystem::path& file) {
  const auto error = error_of([&] { make_torch_model(request_for(TorchScriptModel{file.string()})); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message().starts_with("'" + file.string() + "' "));
  return *error;
}

void put_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

/// An archive as torch.save and AOTInductor write it.
void put_archive(const std::filesystem::path& file, const std::string& record, const std::string& content) {
  caffe2::serialize::PyTorchStreamWriter writer(file.string());
  writer.writeRecord(record, content.data(), content.size());
  writer.writeEndOfFile();
}

TEST_CASE("files of other formats are named with what makes a member of them") {
  const TemporaryFolder folder;
  put_file(folder / "a.onnx", std::string("\x08\x07\x12\x07pytorch", 11));
  CHECK(contains(refused_file(folder / "a.onnx").message(), "is an ONNX model"));
  CHECK(refused_file(folder / "a.onnx").hint() == "set 'kind: onnx' for this member");
  put_file(folder / "a.pkl", "\x80\x04\x95xsklearn");
  CHECK(contains(refused_file(folder / "a.pkl").message(), "is a Python pickle"));
  CHECK(contains(refused_file(folder / "a.pkl").hint(), "scikit-learn"));
  put_file(folder / "a.h5", "\x89HDF\r\n\x1a\n");
  CHECK(contains(refused_file(folder / "a.h5").message(), "is an HDF5 file"));
  test::save_script(folder / "m.pt", test::kDenseScript);
  test::save_state(folder / "m.pt", folder / "w.pt");
  CHECK(contains(refused_file(folder / "w.pt").message(), "it is a safetensors file"));
  CHECK(contains(refused_file(folder / "w.pt").hint(), "name it with 'weights'"));
  put_archive(folder / "state.pt", "data.pkl", "ccollections\nOrderedDict\n");
  CHECK(contains(refused_file(folder / "state.pt").message(), "holds weights without a network: it is a state dict"));
  CHECK(contains(refused_file(folder / "state.pt").hint(), "MODULE:FUNCTION"));
  put_archive(folder / "module.pt", "data.pkl", "ctorch.nn.modules.container\nSequential\n");
  CHECK(contains(refused_file(folder / "module.pt").message(), "is a pickled module of torch.save"));
  CHECK(contains(refused_file(folder / "module.pt").hint(), "--allow-pickle"));
  put_archive(folder / "a.pt2", "data/aotinductor/model/a.so", "x");
  CHECK(contains(refused_file(folder / "a.pt2").message(), "is an AOTInductor package"));
  CHECK(contains(refused_file(folder / "a.pt2").hint(), "kind: aoti"));
  put_archive(folder / "e.pt2", "archive_format", "pt2");
  CHECK(contains(refused_file(folder / "e.pt2").message(), "is a program of torch.export"));
  CHECK(contains(refused_file(folder / "e.pt2").hint(), "aoti_compile_and_package"));
  put_file(folder / "l.pt", test::kLfsPointer);
  const auto pointer = error_of([&] { make_torch_model(request_for(TorchScriptModel{(folder / "l.pt").string()})); });
  REQUIRE(pointer);
  CHECK(contains(pointer->message(), "l.pt is a Git LFS pointer"));
  const auto script = error_of([&] {
    MemberRequest request = request_for(AotiModel{{(folder / "m.pt").string()}});
    make_torch_model(request);
  });
  REQUIRE(script);
  CHECK(contains(script->message(), "m.pt' is TorchScript"));
  CHECK(contains(script->hint(), "kind: torchscript"));
}

}  // namespace
}  // namespace tutti::worker
