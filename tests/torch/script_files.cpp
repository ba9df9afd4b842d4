#include "tests/torch/script_files.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/jit/api/module.h>

namespace tutti::test {

void save_script(const std::filesystem::path& file, const std::string& forward, bool frozen) {
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(3);
  torch::jit::Module module("ForTests");
  const auto add = [&](const char* name, at::IntArrayRef shape) {
    module.register_parameter(name, at::empty(shape, at::kFloat).uniform_(-0.1, 0.1, generator), /*is_buffer=*/false);
  };
  add("kernel", {4, 3, 3, 3});
  add("weight", {10, 3072});
  add("bias", {10});
  module.register_attribute("training", c10::BoolType::get(), true);
  module.define("def forward(self, x):\n    " + forward + "\n");
  if (frozen) {
    module.eval();
    module = torch::jit::freeze(module);
  }
  module.save(file.string());
}

}  // namespace tutti::test
