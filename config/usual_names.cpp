#include "config/usual_names.hpp"

#include <algorithm>
#include <array>

namespace tutti::config {
namespace {

struct UsualName {
  std::string_view typed;  ///< in lower case
  std::string_view meant;
};

constexpr std::array kUsualNames{
    // keys
    UsualName{"batch_size", "batch_images"}, UsualName{"batchsize", "batch_images"}, UsualName{"batch", "batch_images"},
    UsualName{"bs", "batch_images"}, UsualName{"chunk_size", "segment_images"}, UsualName{"device", "assignment"},
    UsualName{"devices", "assignment"}, UsualName{"gpu", "assignment"}, UsualName{"gpus", "assignment"},
    UsualName{"placement", "assignment"}, UsualName{"models", "members"}, UsualName{"num_workers", "decode_threads"},
    UsualName{"workers", "decode_threads"}, UsualName{"num_threads", "threads"}, UsualName{"n_threads", "threads"},
    UsualName{"lr", "learning_rate"}, UsualName{"num_epochs", "epochs"}, UsualName{"n_epochs", "epochs"},
    UsualName{"num_classes", "classes"}, UsualName{"n_classes", "classes"}, UsualName{"labels", "classes"},
    UsualName{"class_names", "classes"}, UsualName{"id2label", "classes"}, UsualName{"names", "classes"},
    UsualName{"type", "kind"}, UsualName{"checkpoint", "weights"}, UsualName{"ckpt", "weights"},
    UsualName{"state_dict", "weights"}, UsualName{"file", "path"}, UsualName{"model_path", "path"},
    UsualName{"folder", "path"}, UsualName{"root", "path"}, UsualName{"dir", "path"}, UsualName{"data_dir", "path"},
    UsualName{"output_dir", "output"}, UsualName{"out", "output"}, UsualName{"image_size", "resize"},
    UsualName{"img_size", "resize"}, UsualName{"size", "resize"}, UsualName{"center_crop", "crop"},
    UsualName{"resample", "interpolation"}, UsualName{"transform", "preprocess"}, UsualName{"transforms", "preprocess"},
    UsualName{"normalize", "preprocess"}, UsualName{"num_samples", "limit"}, UsualName{"max_images", "limit"},
    UsualName{"offset", "skip"}, UsualName{"strategy", "rule"}, UsualName{"method", "rule"},
    UsualName{"aggregation", "rule"}, UsualName{"dtype", "accumulate"}, UsualName{"data", "input"},
    UsualName{"inputs", "input"}, UsualName{"dataset", "input"}, UsualName{"num_images", "count"},
    UsualName{"n", "count"}, UsualName{"tta", "views"}, UsualName{"augmentations", "views"},
    // values
    UsualName{"average", "mean"}, UsualName{"avg", "mean"}, UsualName{"averaging", "mean"},
    UsualName{"mean", "average"}, UsualName{"weighted_average", "weighted"}, UsualName{"weighted_mean", "weighted"},
    UsualName{"voting", "vote"}, UsualName{"majority", "vote"}, UsualName{"majority_vote", "vote"},
    UsualName{"hard", "vote"}, UsualName{"soft", "mean"}, UsualName{"maximum", "max"},
    UsualName{"softmax", "probabilities"}, UsualName{"probs", "probabilities"}, UsualName{"scores", "logits"},
    UsualName{"embedding", "features"}, UsualName{"embeddings", "features"}, UsualName{"linear", "bilinear"},
    UsualName{"cubic", "bicubic"}, UsualName{"imagefolder", "folder"}, UsualName{"image_folder", "folder"},
    UsualName{"images", "folder"}, UsualName{"directory", "folder"}, UsualName{"numpy", "npy"},
    UsualName{"cifar", "cifar10"}, UsualName{"cifar-10", "cifar10"}, UsualName{"torch", "torchscript"},
    UsualName{"pytorch", "torchscript"}, UsualName{"jit", "torchscript"}, UsualName{"pt", "torchscript"},
    UsualName{"aot", "aoti"}, UsualName{"pt2", "aoti"}, UsualName{"clip", "clip-vit"}, UsualName{"vit", "clip-vit"},
    UsualName{"cnn", "small-cnn"}, UsualName{"val", "test"}, UsualName{"validation", "test"},
    UsualName{"training", "train"}, UsualName{"ignore", "skip"}, UsualName{"error", "fail"}, UsualName{"raise", "fail"},
    UsualName{"float", "float32"}, UsualName{"double", "float64"}, UsualName{"uniform_soup", "average"},
    UsualName{"soup", "greedy_soup"}, UsualName{"horizontal_flip", "hflip"}, UsualName{"fliplr", "hflip"},
    UsualName{"flip", "hflip"}, UsualName{"mirror", "hflip"}, UsualName{"vertical_flip", "vflip"},
    UsualName{"flipud", "vflip"}, UsualName{"original", "identity"}, UsualName{"none", "identity"},
    UsualName{"rotate90", "rot90"}};

constexpr std::array kElsewhere{
    UsualName{"device", "; devices are written in 'assignment' at the top level"},
    UsualName{"devices", "; devices are written in 'assignment' at the top level"},
    UsualName{"gpu", "; devices are written in 'assignment' at the top level"},
    UsualName{"batch_size", "; the batch is 'batch_images' at the top level, and in 'train'"},
    UsualName{"num_workers", "; the threads that decode a folder of images are 'decode_threads' of 'input'"},
    UsualName{"num_threads", "; the threads of a worker are 'threads' at the top level"},
    UsualName{"labels",
              "; 'labels' of 'input' names a file ('dataset: npy') or a folder of masks; classes of pictures are their "
              "sub-folders"},
    UsualName{"shuffle", "; images are predicted in their order, and training shuffles them by 'seed'"},
    UsualName{"normalize", "; 'preprocess' of 'input' holds mean and std"},
    UsualName{"mean", "; 'preprocess' of 'input' holds mean and std"},
    UsualName{"std", "; 'preprocess' of 'input' holds mean and std"},
    UsualName{"threads", "; the threads of a worker are 'threads' at the top level"},
    UsualName{"batch_images", "; the batch is 'batch_images' at the top level, and in 'train'"},
    UsualName{"segment_images", "; 'segment_images' is a key of the top level"},
    UsualName{"slots", "; 'slots' is a key of the top level"},
    UsualName{"replicas", "; write it at the top level: workers: [{members: [NAME], replicas: 2}]"},
    UsualName{"mode", "; write it at the top level: workers: [{members: [NAME, NAME], mode: fused}]"}};

std::string lower(std::string_view word) {
  std::string text(word);
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return text;
}

}  // namespace

std::string usual_name(std::string_view word, std::span<const std::string> candidates) {
  const std::string typed = lower(word);
  for (const UsualName& row : kUsualNames)
    if (row.typed == typed && std::ranges::find(candidates, row.meant) != candidates.end())
      return std::string(row.meant);
  return {};
}

std::string_view place_of_usual_name(std::string_view word) {
  const auto found = std::ranges::find(kElsewhere, lower(word), &UsualName::typed);
  return found == kElsewhere.end() ? std::string_view() : found->meant;
}

}  // namespace tutti::config
