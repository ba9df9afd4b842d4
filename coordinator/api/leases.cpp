#include "coordinator/api/leases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stop_token>
#include <utility>

#include "common/check.hpp"
#include "common/counted.hpp"

namespace tutti {

// ---- Lease ---------------------------------------------------------------------------------------------------------

Lease::Lease(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Lease::Lease(Lease&&) noexcept = default;
Lease& Lease::operator=(Lease&&) noexcept = default;
Lease::~Lease() = default;

bool Lease::open() const noexcept { return state_ != nullptr && state_->slot != nullptr; }

std::uint32_t Lease::count() const {
  if (state_ == nullptr)
    throw Error(ErrorKind::usage, "the lease was moved from", {}, "use the one that it was moved to");
  return state_->count;
}

const std::vector<LeasedTensor>& Lease::tensors() const {
  static_cast<void>(count());
  if (!open())
    throw Error(ErrorKind::usage, fmt::format("the lease was {} already", state_->ended),
                "its memory belongs to the ensemble again", "lease again for further samples");
  return state_->tensors;
}

const LeasedTensor& Lease::tensor(std::string_view name) const {
  const auto found = std::ranges::find(tensors(), name, [](const LeasedTensor& one) { return one.tensor.name; });
  if (found != tensors().end()) return *found;
  std::string names;
  for (const LeasedTensor& one : tensors()) names += (names.empty() ? "" : ", ") + one.tensor.name;
  throw Error(ErrorKind::usage, fmt::format("the samples of the lease have no '{}'", name), {},
              fmt::format("they have {}", names));
}

const LeasedTensor& Lease::only_tensor() const {
  if (tensors().size() == 1) return tensors().front();
  throw Error(ErrorKind::usage, fmt::format("the samples of the lease have {}", counted(tensors().size(), "tensor")),
              {}, "ask for each by its name: tensor(name)");
}

std::shared_ptr<const void> Lease::memory() const {
  static_cast<void>(count());
  return state_->memory;
}

void Lease::give_back() noexcept {
  if (!open()) return;
  state_->slot.reset();
  state_->ended = "given back";
}

// ---- slots ---------------------------------------------------------------------------------------------------------

void LeaseHome::give_back(SlotId slot) {
  const MutexLock lock(mutex_);
  if (exchange_ != nullptr) exchange_->end_lease(slot);
}

void LeaseHome::close() {
  const MutexLock lock(mutex_);
  exchange_ = nullptr;
}

LeasedSlot::~LeasedSlot() {
  if (!passed_on_) home_->give_back(slot_);
}

SlotId LeasedSlot::pass_on() {
  TUTTI_CHECK(!passed_on_, "a lease is submitted once");
  passed_on_ = true;
  return slot_;
}

// ---- leases of an ensemble -----------------------------------------------------------------------------------------

Leases::Leases(Exchange& exchange, std::shared_ptr<const Mapping> memory, const ArenaLayout& layout, std::uint32_t most)
    : exchange_(exchange),
      memory_(std::move(memory)),
      layout_(layout),
      most_(most),
      home_(std::make_shared<LeaseHome>(exchange)) {}

Lease Leases::lease(std::uint64_t count, const InputForm& form, const SubmitOptions& options) const {
  if (count == 0)
    throw Error(ErrorKind::usage, "a lease needs at least one sample", {}, "lease as many samples as will be written");
  if (count > most_)
    throw Error(ErrorKind::usage, fmt::format("a lease of {} does not fit into a slot", counted(count, "sample")),
                fmt::format("a slot takes {}", counted(most_, "sample")),
                "lease fewer at a time, raise 'segment_images', or pass them to submit(), which cuts them");
  const SlotId slot = wait_for_slot(options);
  auto leased = std::make_shared<LeasedSlot>(home_, slot);
  auto state = std::make_unique<Lease::State>();
  state->memory = memory_;
  state->count = static_cast<std::uint32_t>(count);
  state->slot = std::move(leased);
  TUTTI_CHECK(form.tensors.size() == layout_.arrays.size(), "each tensor has its array");
  for (std::size_t array = 0; array < form.tensors.size(); ++array)
    state->tensors.push_back(
        {form.tensors[array], slot_view(memory_->data(), layout_, slot, state->count, array).bytes});
  return Lease(std::move(state));
}

SlotId Leases::wait_for_slot(const SubmitOptions& options) const {
  Driver driver(exchange_);
  const std::stop_callback wake(options.stop, [&] { exchange_.announce_change(driver); });
  for (;;) {
    const std::uint64_t seen = exchange_.changes(driver);
    if (options.stop.stop_requested())
      throw Error(ErrorKind::interrupted, "the lease was given up: its caller requested a stop");
    if (const auto slot = exchange_.lease(driver)) return *slot;
    if (options.when_full == WhenFull::refuse)
      throw QueueFull(ErrorKind::failed, "no slot can be leased now",
                      fmt::format("{} of {} can be leased at a time, and other calls use the same slots",
                                  layout_.slots - 1, counted(layout_.slots, "slot")),
                      "try again later, let lease() wait (WhenFull::wait), or raise 'slots'");
    if (options.deadline && std::chrono::steady_clock::now() >= *options.deadline)
      throw Error(ErrorKind::interrupted, "no slot could be leased before the deadline", {},
                  "submit or give back the leases that are open, or raise 'slots'");
    exchange_.wait_change(driver, seen, options.deadline);
  }
}

std::shared_ptr<LeasedSlot> Leases::slot_of(const Lease& lease) const {
  static_cast<void>(lease.tensors());  // throws unless it is open
  const std::shared_ptr<LeasedSlot>& slot = lease.state()->slot;
  if (slot->home() == home_.get()) return slot;
  throw Error(ErrorKind::usage, "the lease is one of another ensemble", {}, "submit it to the ensemble that gave it");
}

std::unique_ptr<Source> Leases::samples_of(const Lease& lease) const {
  std::vector<NamedLayout> tensors;
  for (const LeasedTensor& one : lease.tensors()) tensors.push_back(one.tensor);
  return std::make_unique<LeasedSamples>(std::move(tensors), lease.count(), slot_of(lease)->slot());
}

Leases::Closing::Closing(Lease& lease) noexcept : lease_(lease), slot_(std::exchange(lease.state()->slot, nullptr)) {
  lease.state()->ended = "submitted";
}

Leases::Closing::~Closing() {
  if (slot_ != nullptr) lease_.state()->slot = std::move(slot_);
}

void LeasedSamples::read(std::span<const std::uint64_t> /*indices*/, std::span<float> /*pixels*/,
                         std::span<std::int64_t> /*labels*/) {
  TUTTI_CHECK(false, "leased samples are in their slot");
}

void LeasedSamples::read_into(std::span<const std::uint64_t> indices, const SlotPlace& place) {
  TUTTI_CHECK(place.slot == slot_ && place.first == 0, "leased samples stay where they are");
  TUTTI_CHECK(indices.size() == count_ && indices.front() == 0, "leased samples are one segment");
}

void refuse_lease(const Plan& plan) {
  const auto refuse = [](std::string detail, std::string hint) {
    throw Error(ErrorKind::usage, "samples of this ensemble cannot be leased", std::move(detail), std::move(hint));
  };
  if (plan.input.tiles)
    refuse("its 'input' has 'tiles', which are cut out of larger images", "pass the images to submit()");
  if (!plan.input.planes.empty())
    refuse("its slots hold each picture in the sizes of its members, which are made when it is read",
           "pass the pictures to submit(), or describe samples that members take as they are: 'input: {shape: [...]}'");
  if (plan.training)
    refuse("it was made to train, and a training needs its slots", "make it without Options::training");
  if (plan.arena.slots == 1)
    refuse("it has one slot, which other calls need", "set 'slots' to 2 or more: all but one can be leased");
}

}  // namespace tutti
