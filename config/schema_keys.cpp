#include "config/schema_keys.hpp"

#include <algorithm>
#include <array>

#include "config/input_pictures.hpp"

namespace tutti::config {
namespace {

// ---- forms that several keys have ----------------------------------------------------------------------------------

constexpr std::string_view kNames = R"({"type": "array", "items": {"type": ["string", "integer"]}})";
constexpr std::string_view kSomeNames = R"({"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1})";
constexpr std::string_view kSize =
    R"({"anyOf": [{"type": "integer", "minimum": 1},
                  {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}]})";
constexpr std::string_view kTileSize =
    R"({"anyOf": [{"type": "integer", "minimum": 1},
                  {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 3}]})";
constexpr std::string_view kAxisNumber = R"({"type": "integer", "minimum": -5, "maximum": 5, "not": {"const": 0}})";
constexpr std::string_view kChannels =
    R"({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1}]})";
constexpr std::string_view kTexts =
    R"({"anyOf": [{"type": ["string", "integer"]}, {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1}]})";
constexpr std::string_view kWholes = R"({"type": "array", "items": {"type": "integer", "minimum": 1}})";
constexpr std::string_view kWholeOrAuto = R"({"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["auto"]}]})";
// YAML 1.1 reads off as false.
constexpr std::string_view kWholeOrOff = R"({"anyOf": [{"type": "integer", "minimum": 0}, {"enum": ["off", false]}]})";
constexpr std::string_view kDevice = R"({"$ref": "#/definitions/device"})";
constexpr std::string_view kDevices =
    R"({"anyOf": [{"$ref": "#/definitions/device"}, {"type": "array", "items": {"$ref": "#/definitions/device"}},
                  {"type": "object", "additionalProperties": {"$ref": "#/definitions/device"}}]})";
constexpr std::string_view kClassNames =
    R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "minItems": 1}]})";
constexpr std::string_view kInput = R"({"$ref": "#/definitions/input"})";
constexpr std::string_view kModel = R"({"$ref": "#/definitions/model"})";
constexpr std::string_view kReplicas =
    R"({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 64},
                  {"type": "object", "minProperties": 1, "additionalProperties":
                     {"type": "integer", "minimum": 1, "maximum": 64}}]})";
constexpr std::string_view kViews =
    R"({"type": "array", "items": {"anyOf": [{"$ref": "#/definitions/view_word"}, {"$ref": "#/definitions/view"}]}})";

// ---- keys that several maps have -----------------------------------------------------------------------------------

// Those of read_resize(), in the maps from which it reads.
constexpr std::array kResizing{
    SchemaKey{"", "resize", "a number: length of the shorter side; two: height and width", kSize},
    SchemaKey{"", "rule", "shorter keeps the proportions, exact makes both sides"},
    SchemaKey{"", "crop", "the centre that is kept", kSize},
    SchemaKey{"", "interpolation", "filter of 'resize'"},
    SchemaKey{"", "crop_rounding", "how the place of 'crop' is rounded"},
};
constexpr std::array<std::string_view, 3> kResized{"step", "member_input", "input"};
static_assert(std::ranges::equal(kResizing, kResizeKeys, {}, &SchemaKey::key));

// ---- the other keys ------------------------------------------------------------------------------------------------

constexpr std::array kKeys{
    SchemaKey{"description", "members", "the models, in rank order", R"({"$ref": "#/definitions/members"})"},
    SchemaKey{"description", "defaults", "keys of members that do not have them",
              R"({"$ref": "#/definitions/defaults"})"},
    SchemaKey{"description", "assignment", "the device of each member", kDevices},
    SchemaKey{"description", "device_map", "another name for 'assignment'", kDevices},
    SchemaKey{"description", "workers", "which members share a worker",
              R"({"type": "array", "items": {"$ref": "#/definitions/worker"}})"},
    SchemaKey{"description", "combine", "how predictions become one", R"({"$ref": "#/definitions/combine"})"},
    SchemaKey{"description", "cascade", "which members are asked only for doubtful samples",
              R"({"anyOf": [{"$ref": "#/definitions/cascade_step"},
                            {"type": "array", "items": {"$ref": "#/definitions/cascade_step"}}]})"},
    SchemaKey{
        "description", "quorum", "how many answers are enough for a segment, or when; the bytes then depend on time",
        R"({"anyOf": [{"type": "integer", "minimum": 1}, {"allOf": [{"$ref": "#/definitions/quorum"}, {"minProperties": 1}]}]})"},
    SchemaKey{"description", "coalesce",
              "small calls of submit() share segments; the last bits of a row may then depend on its neighbours",
              R"({"$ref": "#/definitions/coalesce"})"},
    SchemaKey{"description", "input", "the images", kInput},
    SchemaKey{"description", "classes", "names of the classes, in the order of the outputs: a list or a file",
              kClassNames},
    SchemaKey{"description", "views", "views of each image, whose predictions are averaged", kViews},
    SchemaKey{"description", "tasks", "what 'tutti evaluate' measures on",
              R"({"type": "array", "items": {"$ref": "#/definitions/task"}, "minItems": 1})"},
    SchemaKey{"description", "train", "how members are trained", R"({"$ref": "#/definitions/train"})"},
    SchemaKey{"description", "base", "the model that the members were fine-tuned from", kModel},
    SchemaKey{"description", "merge", "how weights become one checkpoint", R"({"$ref": "#/definitions/merge"})"},
    SchemaKey{"description", "segment_images", "images per segment, the unit that is handed out; or auto",
              kWholeOrAuto},
    SchemaKey{"description", "batch_images", "images that a model computes at a time; auto measures the fastest",
              kWholeOrAuto},
    SchemaKey{"description", "slots", "segments in flight, which bound the memory"},
    SchemaKey{"description", "threads", "threads per worker; 0: as its cores allow"},
    SchemaKey{"description", "seed", "member k starts from seed + k"},
    SchemaKey{"description", "masks", "png: also write the classes of every image as a picture"},
    SchemaKey{"description", "save_members", "also write the predictions of each member"},
    SchemaKey{"description", "start_deadline_s", "seconds until all workers are loaded and warm"},
    SchemaKey{"description", "stop_deadline_s", "seconds until a worker that was told to stop is killed"},
    SchemaKey{"description", "drain_deadline_s", "seconds to finish what is in flight after Ctrl-C"},
    SchemaKey{"description", "output", "the run folder; a new one below runs/ without it"},
    SchemaKey{"description", "include", "files that are read first; later keys win",
              R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": ["string", "null"]}}]})"},
    SchemaKey{"description", "on_worker_failure", "what happens when a worker dies"},
    SchemaKey{"description", "restarts", "how often a worker is replaced", R"({"$ref": "#/definitions/restarts"})"},
    SchemaKey{"description", "progress_deadline_s", "seconds for one batch, auto or off",
              R"({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"enum": ["auto", "off", false]}]})"},
    SchemaKey{"description", "on_poison", "what happens to a segment that kills its workers"},
    SchemaKey{"description", "poison_limit", "deaths until a segment counts as poison; or off", kWholeOrOff},
    SchemaKey{"description", "on_nan", "what happens to predictions with NaN or infinity"},
    SchemaKey{"description", "spares", "workers that wait to replace others"},
    SchemaKey{"description", "start_method", "how a worker process is started"},
    SchemaKey{"description", "core_files", "leave core files of workers that crash"},

    SchemaKey{"restarts", "limit", "replacements of a member within the window; or off", kWholeOrOff},
    SchemaKey{"restarts", "window_s", "length of the window in seconds"},
    SchemaKey{"restarts", "back_off_s", "seconds before the second replacement in a row"},

    SchemaKey{"worker", "members", "names or ranks of the members that share the worker", kNames},
    SchemaKey{"worker", "device", "where the worker runs", kDevice},
    SchemaKey{"worker", "replicas", "how many workers host these members; or a map of devices and numbers", kReplicas},
    SchemaKey{"worker", "same_bits", "off allows replicas on different kinds of devices"},
    SchemaKey{"worker", "mode", "how the worker runs its members; auto measures the fastest"},

    SchemaKey{"quorum", "members", "how many answers are enough", R"({"type": "integer", "minimum": 1})"},
    SchemaKey{"quorum", "deadline_s", "seconds from when a segment is filled; until then all are waited for"},

    SchemaKey{"coalesce", "max_delay_us", "microseconds that a row waits for others"},

    SchemaKey{"cascade_step", "after",
              "names or ranks of the members whose combination decides; all before, by default", kSomeNames},
    SchemaKey{"cascade_step", "when", "which samples are doubtful",
              R"({"allOf": [{"$ref": "#/definitions/doubt"}, {"minProperties": 1, "maxProperties": 1}]})"},
    SchemaKey{"cascade_step", "then", "names or ranks of the members that are asked for these", kSomeNames},

    SchemaKey{"doubt", "confidence_below", "those whose largest combined value is smaller"},
    SchemaKey{"doubt", "margin_below", "those whose two largest combined values are closer"},
    SchemaKey{"doubt", "entropy_above", "those whose combined values have a larger entropy, in nats"},

    SchemaKey{"combine", "rule", "how the predictions of the members become one"},
    SchemaKey{"combine", "over", "what the members hand over"},
    SchemaKey{"combine", "activation", "how logits become probabilities"},
    SchemaKey{"combine", "axis", "where the classes are in a prediction, from -5 to 5", kAxisNumber},
    SchemaKey{"combine", "normalize", "divide by the sum of the weights"},
    SchemaKey{"combine", "accumulate", "type of the sums"},
    SchemaKey{"combine", "spread", "also write how far apart the members are"},
    SchemaKey{"combine", "device_map", "another name for 'assignment'", kDevices},

    SchemaKey{"member", "name", "letters, digits, '_', '.' and '-'"},
    SchemaKey{"member", "glob", "a pattern: a member for each file that it matches", R"({"type": "string"})"},
    SchemaKey{"member", "model", "the model: its kind, and the keys of this kind", kModel},
    SchemaKey{"member", "stages", "a chain of models, each of which computes on what the one before it outputs",
              R"({"type": "array", "minItems": 2, "maxItems": 16, "items":
                  {"anyOf": [{"$ref": "#/definitions/stage"}, {"$ref": "#/definitions/step"},
                             {"$ref": "#/definitions/step_word"}]}})"},
    SchemaKey{"member", "shards", "cuts the model by its layers: how many parts, each in a worker of its own, or where",
              R"({"anyOf": [{"type": "integer", "minimum": 2, "maximum": 16}, {"$ref": "#/definitions/shards"}]})"},
    SchemaKey{"member", "weight", "weight of the member in the rules weighted and vote"},
    SchemaKey{"member", "output", "what the numbers of the model mean"},
    SchemaKey{"member", "takes", "which tensors of a sample the model takes",
              R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1},
                            {"type": "object", "additionalProperties": {"type": "string"}}]})"},
    SchemaKey{"member", "input", "what is done to the images for this member",
              R"({"anyOf": [{"$ref": "#/definitions/preset"}, {"$ref": "#/definitions/member_input"}]})"},
    SchemaKey{"member", "views", "views of each image, whose predictions are averaged", kViews},
    SchemaKey{"member", "copy_input", "give the model a private copy of each batch"},
    SchemaKey{"member", "max_memory", "memory of its worker, above which it is replaced: 2 GB"},
    SchemaKey{"member", "seed", "seed of its first weights and its resample"},
    SchemaKey{"member", "train", "keys that differ from the common 'train'",
              R"({"$ref": "#/definitions/member_train"})"},

    SchemaKey{"stage", "model", "the model: its kind, and the keys of this kind", kModel},
    SchemaKey{"stage", "device", "where the stage runs; by default where 'assignment' puts the member", kDevice},
    SchemaKey{"stage", "replicas", "how many workers host this stage; or a map of devices and numbers", kReplicas},
    SchemaKey{"stage", "same_bits", "off allows replicas on different kinds of devices"},

    SchemaKey{"shards", "count", "how many parts, of about the same size"},
    SchemaKey{"shards", "cut", "the layers, counted from 0, with which the parts behind the first begin",
              R"({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 15})"},
    SchemaKey{"shards", "devices", "where each part runs; by default where 'assignment' puts the member",
              R"({"type": "array", "items": {"$ref": "#/definitions/device"}, "minItems": 2, "maxItems": 16})"},

    SchemaKey{"part", "from", "the first layer of the part, counted from 0; without it, the first of the network"},
    SchemaKey{"part", "to", "the layer behind the last one of the part; without it, the part ends with the network"},

    SchemaKey{"step", "step", "what is made of the outputs of the stage before it, in its workers"},
    SchemaKey{"step", "axis", "along which axis: 1 is the first after the sample, -1 the last", kAxisNumber},
    SchemaKey{"step", "mean", "subtracted from each value, per channel", kChannels},
    SchemaKey{"step", "std", "then each value is divided by this", kChannels},
    SchemaKey{"step", "above", "values above it become 1, others 0; of boxes, those with a score above it count"},
    SchemaKey{"step", "k", "how many values"},
    SchemaKey{"step", "give", "the values, or where they are along the axis"},
    SchemaKey{"step", "max", "the most rows of a sample: those with the highest scores"},
    SchemaKey{"step", "channels", "of the pictures whose parts are cut out"},
    SchemaKey{"step", "by", "what becomes of the rows of a sample, value by value"},
    SchemaKey{"step", "empty", "every value of a sample without rows"},

    SchemaKey{"model", "kind", "the kind of the model"},
    SchemaKey{"model", "classes", "width of the last layer"},
    SchemaKey{"model", "weights", "a safetensors file"},
    SchemaKey{"model", "layers", "widths of the layers; the last is the number of classes", kWholes},
    SchemaKey{"model", "part", "the layers that are computed; all without it", R"({"$ref": "#/definitions/part"})"},
    SchemaKey{"model", "path", "the file or the folder of the model",
              R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]})"},
    SchemaKey{"model", "files", "the files of one model, of which the fastest is chosen at the start",
              R"({"type": "array", "items": {"type": "string"}, "minItems": 1})"},
    SchemaKey{"model", "backend", "the library that computes it; auto: the fastest, chosen at the start"},
    SchemaKey{"model", "streams", "parts of a batch that are computed at the same time"},
    SchemaKey{"model", "precision", "the numbers in which OpenVINO computes"},
    SchemaKey{"model", "cache", "a folder where OpenVINO's compiled model is kept for the next start"},
    SchemaKey{"model", "optimize", "freeze and optimise the module"},
    SchemaKey{"model", "random", "the model draws random numbers on purpose"},
    SchemaKey{"model", "output", "which output of the model is used", kTexts},
    SchemaKey{"model", "factory", "the Python function that makes the model: my_models:make",
              R"({"type": "string", "pattern": ":[^:]+$"})"},
    SchemaKey{"model", "arguments", "what the factory is called with", R"({"type": "object"})"},
    SchemaKey{"model", "python", "the interpreter: its file, or the folder of its environment"},
    SchemaKey{"model", "folder", "where modules are looked for first; the folder of this file without it"},
    SchemaKey{"model", "head", "the file of a head"},
    SchemaKey{"model", "predictions", "an .npy file with the prediction for each sample"},
    SchemaKey{"model", "per_class", "sizes of what it outputs for each class", kWholes},
    SchemaKey{"model", "delay_us", "microseconds that it sleeps per batch"},
    SchemaKey{"model", "delay_ms", "milliseconds that it sleeps per batch"},
    SchemaKey{"model", "load_delay_ms", "milliseconds that it sleeps while it loads"},
    SchemaKey{"model", "reads_input", "false: the output ignores the images"},
    SchemaKey{"model", "writes_input", "behave like a model that changes its input"},
    SchemaKey{"model", "faults", "scripted faults", R"({"type": "array", "items": {"$ref": "#/definitions/fault"}})"},

    SchemaKey{"fault", "kind", "what happens"},
    SchemaKey{"fault", "phase", "when it happens"},
    SchemaKey{"fault", "at_batch", "the batch of this phase, counted from 0"},
    SchemaKey{"fault", "at_value", "every batch with an image whose first value is this", R"({"type": "number"})"},

    SchemaKey{"member_input", "tensors", "which of several images are prepared so", kTexts},
    SchemaKey{"member_input", "mean", "subtracted from each value, per channel", kChannels},
    SchemaKey{"member_input", "std", "then each value is divided by this", kChannels},

    SchemaKey{"view", "crops", "parts of the image: 1, 5 or 10"},
    SchemaKey{"view", "size", "the size of each crop", kSize},
    SchemaKey{"view", "scale", "resized by a factor from 0.1 to 10"},

    SchemaKey{"input", "dataset", "where the images come from; memory: through the API"},
    SchemaKey{"input", "split", "part of the data set"},
    SchemaKey{"input", "path", "a folder"},
    SchemaKey{"input", "images", "an array: x.npy, or samples.npz:x"},
    SchemaKey{"input", "inputs", "the tensors of a sample, if it is not one image",
              R"({"anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "additionalProperties":
                            {"anyOf": [{"type": "string"}, {"$ref": "#/definitions/tensor"}]}}]})"},
    SchemaKey{"input", "labels", "an array of labels, a column of a table, or a folder of masks"},
    SchemaKey{"input", "ignore_index", "the label of places of masks that do not count", R"({"type": "integer"})"},
    SchemaKey{"input", "layout", "order of the axes in 'images'"},
    SchemaKey{"input", "count", "number of images"},
    SchemaKey{"input", "seed", "which images"},
    SchemaKey{"input", "shape", "channels, height, width",
              R"({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 3, "maxItems": 3})"},
    SchemaKey{"input", "classes", "number of classes of the labels"},
    SchemaKey{"input", "skip", "leave out this many images at the beginning"},
    SchemaKey{"input", "limit", "use the first so many images after those of 'skip'"},
    SchemaKey{"input", "orientation", "exif: turn pictures as their EXIF orientation says"},
    SchemaKey{"input", "on_broken", "what happens to files that cannot be decoded"},
    SchemaKey{"input", "decode_threads", "threads that decode"},
    SchemaKey{"input", "jpeg_scaling", "decode large JPEGs at a part of their size"},
    SchemaKey{"input", "tiles", "predict large inputs in overlapping tiles", R"({"$ref": "#/definitions/tiles"})"},
    SchemaKey{"input", "preprocess", "normalisation for all members, or a preset",
              R"({"anyOf": [{"$ref": "#/definitions/preset"}, {"$ref": "#/definitions/preprocess"}]})"},

    SchemaKey{"preprocess", "mean", "subtracted from each value, per channel", kChannels},
    SchemaKey{"preprocess", "std", "then each value is divided by this", kChannels},

    SchemaKey{"tiles", "size", "length of a tile along each axis after the channels", kTileSize},
    SchemaKey{"tiles", "overlap", "the part of a tile that its neighbour has too: below 1"},
    SchemaKey{"tiles", "blend", "how predictions of overlapping tiles become one"},

    SchemaKey{"tensor", "shape", "the sizes of one sample", kWholes},
    SchemaKey{"tensor", "dtype", "the type of its values"},

    SchemaKey{"task", "name", "names a folder of the results"},
    SchemaKey{"task", "input", "labelled images", kInput},
    SchemaKey{"task", "head", "a safetensors file that turns features into classes"},
    SchemaKey{"task", "classes", "names of the classes, in the order of the labels: a list or a file", kClassNames},
    SchemaKey{"task", "held_out", "other images, by which a greedy soup chooses", kInput},

    SchemaKey{"train", "epochs", "passes over the images"},
    SchemaKey{"train", "batch_images", "images per step of the optimiser"},
    SchemaKey{"train", "learning_rate", "learning rate of the optimiser"},
    SchemaKey{"train", "init", "a safetensors file to start from"},
    SchemaKey{"train", "bootstrap", "each member trains on its own resample (bagging)"},
    SchemaKey{"train", "input", "the images to train on", kInput},
    SchemaKey{"train", "checkpoint_segments", "segments between two checkpoints of a member's state"},

    SchemaKey{"member_train", "epochs", "passes over the images"},
    SchemaKey{"member_train", "batch_images", "images per step of the optimiser"},
    SchemaKey{"member_train", "learning_rate", "learning rate of the optimiser"},
    SchemaKey{"member_train", "init", "a safetensors file to start from"},
    SchemaKey{"member_train", "bootstrap", "train on a resample (bagging)"},

    SchemaKey{"merge", "method", "how the weights become one"},
    SchemaKey{"merge", "over", "names or ranks of the members", kNames},
    SchemaKey{"merge", "weights", "one number per member", R"({"type": "array", "items": {"type": "number"}})"},
    SchemaKey{"merge", "normalize", "divide by the sum of the weights"},
    SchemaKey{"merge", "scaling", "factor of the sum of the changes"},
    SchemaKey{"merge", "density", "the part of each member's changes that is kept"},
    SchemaKey{"merge", "disjoint", "sum or mean of the changes that have the elected sign"},
    SchemaKey{"merge", "t", "0 is the first of the two members, 1 the second"},
    SchemaKey{"merge", "batch_norm", "what becomes of the statistics of BatchNorm layers"},
    SchemaKey{"merge", "input", "held-out images of a soup, or those of the statistics", kInput},
    SchemaKey{"merge", "accumulate", "type of the sums"},
};

constexpr std::array kAllKeys = [] {
  std::array<SchemaKey, kKeys.size() + kResized.size() * kResizing.size()> all{};
  auto end = std::ranges::copy(kKeys, all.begin()).out;
  for (const std::string_view definition : kResized)
    for (SchemaKey key : kResizing) {
      key.definition = definition;
      *end++ = key;
    }
  return all;
}();

}  // namespace

std::span<const SchemaKey> schema_keys() { return kAllKeys; }

}  // namespace tutti::config
