#include "worker/python/python_model.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/json.hpp"
#include "common/random.hpp"
#include "worker/activation.hpp"
#include "worker/answers.hpp"
#include "worker/failure.hpp"
#include "worker/python/python_api.hpp"

namespace tutti::worker {
namespace {

using python::Gil;
using python::Held;

/// What the functions of tutti_member.py return: a tuple that begins with one of these.
enum class Reply : long long {
  done = 0,    ///< nothing follows
  text = 1,    ///< texts follow
  shape = 2,   ///< the type of an array, 1 if it is one of floats, and its sizes
  failed = 3,  ///< an exception: its text, what to do about it, and 1 if the description is surely wrong
};

PyObject* g_load = nullptr;

Held item(const Held& tuple, ssize_t at) {
  PyObject* const borrowed = PyTuple_GetItem(tuple.get(), at);
  TUTTI_CHECK(borrowed != nullptr);
  Py_IncRef(borrowed);
  return Held(borrowed);
}

std::string text_at(const Held& tuple, ssize_t at) {
  const Held bytes(PyUnicode_AsUTF8String(item(tuple, at).get()));
  char* begin = nullptr;
  ssize_t size = 0;
  if (!bytes || PyBytes_AsStringAndSize(bytes.get(), &begin, &size) != 0) {
    PyErr_Clear();  // text that is not UTF-8
    return "(a text that cannot be shown)";
  }
  return {begin, static_cast<std::size_t>(size)};
}

long long number_at(const Held& tuple, ssize_t at) { return PyLong_AsLongLong(item(tuple, at).get()); }

/// A copy of this process that os.fork() made, in the user's code, must not go on as the worker: both would write to
/// the same rings.
void end_copies(pid_t worker) {
  if (::getpid() == worker) return;
  std::fputs("a copy of the worker's process, made by os.fork(), returned from the model and was ended\n", stderr);
  ::_exit(1);
}

enum class Phase : bool { making, running };

/// Calls a function of tutti_member.py, which catches what the user's code raises. Throws Error then: of kind `usage`
/// only while a member is made, and if every process would raise it.
Held call(PyObject* function, std::initializer_list<PyObject*> arguments, Phase phase = Phase::running) {
  const pid_t worker = ::getpid();
  Held tuple(PyTuple_New(static_cast<ssize_t>(arguments.size())));
  if (!tuple) throw out_of_memory("from Python");
  bool whole = true;
  ssize_t place = 0;
  for (PyObject* const argument : arguments) {
    whole = whole && argument != nullptr;
    PyTuple_SetItem(tuple.get(), place++, argument);
  }
  Held reply(whole ? PyObject_CallObject(function, tuple.get()) : nullptr);
  end_copies(worker);
  if (!reply) {
    PyErr_Clear();
    throw out_of_memory("while Python dealt with an exception");
  }
  if (static_cast<Reply>(number_at(reply, 0)) == Reply::failed)
    throw Error(phase == Phase::making && number_at(reply, 3) != 0 ? ErrorKind::usage : ErrorKind::failed,
                text_at(reply, 1), {}, text_at(reply, 2));
  return reply;
}

Held number(std::uint64_t value) { return Held(PyLong_FromUnsignedLongLong(value)); }

Held view_of(const void* memory, std::size_t bytes, int flags) {
  // Python's own signature: with kRead it does not write.
  return Held(PyMemoryView_FromMemory(static_cast<char*>(const_cast<void*>(memory)),  // NOLINT
                                      static_cast<ssize_t>(bytes), flags));
}

json::array json_of(const Dims& dims) { return json::array(dims.begin(), dims.end()); }

std::string description_of(const MemberRequest& request) {
  const auto& model = std::get<PythonModel>(request.model);
  json::array takes;
  for (const TakenTensor& taken : request.takes)
    takes.push_back(
        json::object{{"as", taken.as}, {"dtype", to_name(taken.seen.dtype)}, {"dims", json_of(taken.seen.dims)}});
  return json::serialize(json::object{{"factory", model.factory},
                                      {"arguments", model.arguments.json},  // as text: no number changes
                                      {"folder", model.folder},
                                      {"seed", request.seed},
                                      {"copy_input", request.copy_input},
                                      {"takes", std::move(takes)}});
}

class PythonMember final : public Model {
 public:
  explicit PythonMember(const MemberRequest& request)
      : request_(request), activates_(needs_activation(request)), random_(std::get<PythonModel>(request.model).random) {
    for (const TakenTensor& taken : request.takes)
      if (taken.seen.dtype == Dtype::bfloat16)
        throw Error(ErrorKind::usage, "a python member cannot take bfloat16, which NumPy does not have", {},
                    "save the tensor as float32");
    const Gil gil;
    const Held reply = call(g_load, {python::text(description_of(request)).release()}, Phase::making);
    member_ = item(reply, 1);
    backend_ = text_at(reply, 2);
    predict_ = Held(PyObject_GetAttrString(member_.get(), "predict"));
    probe_ = Held(PyObject_GetAttrString(member_.get(), "probe"));
    take_ = Held(PyObject_GetAttrString(member_.get(), "take"));
    TUTTI_CHECK(predict_ && probe_ && take_);
  }
  ~PythonMember() override {
    const Gil gil;
    for (Held* const held : {&member_, &predict_, &probe_, &take_}) *held = Held();
  }
  PythonMember(const PythonMember&) = delete;
  PythonMember& operator=(const PythonMember&) = delete;

  const std::string& backend() const { return backend_; }

  Dims output() const override {
    const auto known = outputs_.find(request_.seen().dims);
    return known == outputs_.end() ? Dims{} : known->second;
  }
  std::uint64_t parameters() const override { return 0; }
  std::vector<std::string> notes() const override { return notes_; }

  void expect_images(const ImageShape& shape) override {
    request_.takes.front().seen = shape.layout();
    const Gil gil;
    const Held expect(PyObject_GetAttrString(member_.get(), "expect"));
    call(expect.get(), {python::text(json::serialize(json_of(shape.layout().dims))).release()});
  }

  void begin_segment(std::uint64_t first_image) override {
    if (!random_) return;
    const Gil gil;
    const Held seed(PyObject_GetAttrString(member_.get(), "seed"));
    call(seed.get(), {number(random_at(request_.seed, first_image)).release()});
  }

  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) override {
    const Dims& sizes = outputs_.at(request_.seen().dims);
    {
      const Gil gil;
      Held values = view_of(output.data(), output.size_bytes(), python::kWrite);
      const Held reply =
          call(predict_.get(), {number(count).release(), views(samples, count).release(), values.release()});
      if (static_cast<Reply>(number_at(reply, 0)) == Reply::shape) look(reply, count, &sizes);
    }
    if (activates_) activate(request_.activation, sizes, request_.axis, output);
  }

  std::span<const float> probe(const Samples& samples, std::uint32_t count) override {
    Dims sizes;
    {
      const Gil gil;
      const Held reply = call(probe_.get(), {number(count).release(), views(samples, count).release()}, Phase::making);
      const auto known = outputs_.find(request_.seen().dims);
      sizes = look(reply, count, known == outputs_.end() ? nullptr : &known->second);
      outputs_.try_emplace(request_.seen().dims, sizes);
      probed_.resize(count * elements_of(sizes));
      call(take_.get(), {view_of(probed_.data(), probed_.size() * sizeof(float), python::kWrite).release()},
           Phase::making);
    }
    if (activates_) {
      if (!probabilities_ && look_like_probabilities({probed_, sizes}, request_)) {
        probabilities_ = true;
        notes_.emplace_back(kSecondSoftmax);
      }
      activate(request_.activation, sizes, request_.axis, probed_);
    }
    check_sums({probed_, sizes}, request_);
    return probed_;
  }

 private:
  /// A tuple of the samples' memory, one view per tensor, which Python cannot write to.
  Held views(const Samples& samples, std::uint32_t count) const {
    Held tuple(PyTuple_New(static_cast<ssize_t>(request_.takes.size())));
    for (std::size_t t = 0; tuple && t < request_.takes.size(); ++t) {
      Held view = view_of(samples[t], count * request_.takes[t].seen.bytes(), python::kRead);
      if (!view) return Held();
      PyTuple_SetItem(tuple.get(), static_cast<ssize_t>(t), view.release());
    }
    return tuple;
  }

  /// The sizes of a prediction in the array that a reply describes. Throws what sizes_of() throws.
  Dims look(const Held& reply, std::uint32_t count, const Dims* before) {
    const std::string type = text_at(reply, 1);
    const bool floating = number_at(reply, 2) != 0;
    std::vector<std::int64_t> sizes;
    for (ssize_t at = 3; at < PyTuple_Size(reply.get()); ++at) sizes.push_back(number_at(reply, at));
    const Dims output = sizes_of({sizes, type, floating}, request_, count, before);
    if (type != "float32" && !std::exchange(converts_, true))
      notes_.push_back(fmt::format("its outputs are {}, and are converted to float32", type));
    return output;
  }

  MemberRequest request_;
  bool activates_;
  bool random_;
  std::string backend_;
  Held member_;
  Held predict_;
  Held probe_;
  Held take_;
  std::map<Dims, Dims> outputs_;  ///< of a sample, by the sizes of the first tensor that it has
  std::vector<float> probed_;
  std::vector<std::string> notes_;
  bool probabilities_ = false;
  bool converts_ = false;
};

}  // namespace

void make_python_models_with(_object* load) {
  const Gil gil;
  Py_IncRef(load);
  g_load = load;
}

LoadedModel make_python_model(const MemberRequest& request) {
  auto member = std::make_unique<PythonMember>(request);
  std::string backend = member->backend();
  return {std::move(member), std::move(backend)};
}

}  // namespace tutti::worker
