#include "tests/torch/script_files.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include "worker/torch/script_module.hpp"

namespace tutti::test {
namespace {

class Drawing {
 public:
  at::Tensor operator()(at::IntArrayRef shape, double least = -0.1, double most = 0.1) {
    return at::empty(shape, at::kFloat).uniform_(least, most, generator_);
  }

 private:
  at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(3);
};

torch::jit::Module layer(const char* name) {
  torch::jit::Module module(name);
  module.register_attribute("training", c10::BoolType::get(), true);
  return module;
}

torch::jit::Module batch_norm(const char* name, std::int64_t channels, BatchNormForm form, Drawing& draw) {
  torch::jit::Module module = layer(name);
  module.register_parameter("weight", draw({channels}, 0.5, 1.5), /*is_buffer=*/false);
  module.register_parameter("bias", draw({channels}), /*is_buffer=*/false);
  module.register_parameter("running_mean", draw({channels}), /*is_buffer=*/true);
  module.register_parameter("running_var", draw({channels}, 0.5, 1.5), /*is_buffer=*/true);
  module.register_parameter("num_batches_tracked", at::tensor(std::int64_t{7}), /*is_buffer=*/true);
  const std::string call = "torch.batch_norm(x, self.weight, self.bias, {}, {}, {}, 0.1, 1e-5, True)";
  if (form == BatchNormForm::traced)
    module.define("def forward(self, x):\n    return " +
                  fmt::format(fmt::runtime(call), "self.running_mean", "self.running_var", "False") + "\n");
  else  // as torch.nn.BatchNorm2d
    module.define(
        "def forward(self, x):\n"
        "    if self.training:\n"
        "        self.num_batches_tracked.add_(1)\n"
        "        mean : Optional[Tensor] = None\n"
        "        var : Optional[Tensor] = None\n"
        "    else:\n"
        "        mean = self.running_mean\n"
        "        var = self.running_var\n"
        "    return " +
        fmt::format(fmt::runtime(call), "mean", "var", "self.training") + "\n");
  return module;
}

}  // namespace

void save_script(const std::filesystem::path& file, const std::string& forward, bool frozen,
                 const std::string& arguments) {
  Drawing draw;
  torch::jit::Module module = layer("ForTests");
  module.register_parameter("kernel", draw({4, 3, 3, 3}), /*is_buffer=*/false);
  module.register_parameter("weight", draw({10, 3072}), /*is_buffer=*/false);
  module.register_parameter("bias", draw({10}), /*is_buffer=*/false);
  module.define("def forward(self, " + arguments + "):\n    " + forward + "\n");
  if (frozen) {
    module.eval();
    module = torch::jit::freeze(module);
  }
  module.save(file.string());
}

void save_state(const std::filesystem::path& script, const std::filesystem::path& file) {
  worker::write_weights(file, worker::state_of(torch::jit::load(script.string())), {});
}

void save_batch_norm_script(const std::filesystem::path& file, BatchNormForm form) {
  Drawing draw;
  torch::jit::Module network = layer("Network");
  torch::jit::Module conv = layer("Conv");
  conv.register_parameter("weight", draw({4, 3, 3, 3}), /*is_buffer=*/false);
  conv.define("def forward(self, x):\n    return torch.conv2d(x, self.weight)\n");
  torch::jit::Module fc = layer("Fc");
  fc.register_parameter("weight", draw({10, 16}), /*is_buffer=*/false);
  fc.register_parameter("bias", draw({10}), /*is_buffer=*/false);
  fc.define("def forward(self, x):\n    return torch.linear(x, self.weight, self.bias)\n");
  network.register_module("conv", conv);
  network.register_module("bn1", batch_norm("Norm1", 4, form, draw));
  network.register_module("fc", fc);
  network.register_module("bn2", batch_norm("Norm2", 10, form, draw));
  network.define(
      "def forward(self, x):\n"
      "    x = torch.relu(self.bn1.forward(self.conv.forward(x)))\n"
      "    x = torch.flatten(torch.max_pool2d(x, [15, 15]), 1)\n"
      "    x = torch.dropout(x, 0.5, self.training)\n"
      "    return self.bn2.forward(self.fc.forward(x))\n");
  network.save(file.string());
}

}  // namespace tutti::test
