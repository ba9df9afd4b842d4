#include "common/member_request.hpp"

namespace tutti {
namespace {

struct NameOf {
  std::string_view operator()(const SmallCnnModel&) const { return "small-cnn"; }
  std::string_view operator()(const MlpModel&) const { return "mlp"; }
  std::string_view operator()(const TorchScriptModel&) const { return "torchscript"; }
  std::string_view operator()(const FakeModel&) const { return "fake"; }
};

}  // namespace

std::string_view kind_name(const ModelKind& kind) { return std::visit(NameOf{}, kind); }

}  // namespace tutti
