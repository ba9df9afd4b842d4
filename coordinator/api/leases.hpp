// What a Lease holds: a slot of the arena that its caller fills, and that then goes to the stream of its submission.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/lease.hpp>
#include <tutti/submit.hpp>

#include "common/mutex.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// Where leased slots go back to. Thread-safe. Leases share it, since they may outlive the exchange.
class LeaseHome {
 public:
  explicit LeaseHome(Exchange& exchange) : exchange_(&exchange) {}
  void give_back(SlotId slot);
  /// The exchange ends: nothing goes back any more.
  void close();

 private:
  Mutex mutex_;
  Exchange* exchange_ TUTTI_GUARDED_BY(mutex_);  ///< null: it has ended
};

/// A slot that is given back unless it is passed on. Used by one thread at a time.
class LeasedSlot {
 public:
  LeasedSlot(std::shared_ptr<LeaseHome> home, SlotId slot) : home_(std::move(home)), slot_(slot) {}
  LeasedSlot(const LeasedSlot&) = delete;
  LeasedSlot& operator=(const LeasedSlot&) = delete;
  ~LeasedSlot();
  SlotId slot() const noexcept { return slot_; }
  const LeaseHome* home() const noexcept { return home_.get(); }
  /// The slot, which is the caller's to give back from now on. Once.
  SlotId pass_on();

 private:
  const std::shared_ptr<LeaseHome> home_;
  const SlotId slot_;
  bool passed_on_ = false;
};

class Lease::State {
 public:
  std::shared_ptr<const Mapping> memory;  ///< that of the tensors
  std::uint32_t count = 0;
  std::vector<LeasedTensor> tensors;
  std::shared_ptr<LeasedSlot> slot;  ///< null once it is not open
  const char* ended = "given back";  ///< why it is not open
};

/// The leases of one ensemble. Thread-safe. The exchange outlives it; leases need not.
class Leases {
 public:
  /// `most`: samples of a lease.
  Leases(Exchange& exchange, std::shared_ptr<const Mapping> memory, const ArenaLayout& layout, std::uint32_t most);
  ~Leases() { home_->close(); }
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  /// As Ensemble::lease(); `form` is that of the ensemble.
  Lease lease(std::uint64_t count, const InputForm& form, const SubmitOptions& options) const;
  /// The slot of a lease of this ensemble that is open. Throws Error(usage).
  std::shared_ptr<LeasedSlot> slot_of(const Lease& lease) const;
  /// Its samples. Throws as slot_of().
  std::unique_ptr<Source> samples_of(const Lease& lease) const;
  /// A lease that is being submitted: it is not open any more, but again if this ends without keep().
  class Closing {
   public:
    explicit Closing(Lease& lease) noexcept;
    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;
    ~Closing();
    /// It was submitted; the lease may be gone.
    void keep() noexcept { slot_.reset(); }

   private:
    Lease& lease_;
    std::shared_ptr<LeasedSlot> slot_;
  };

 private:
  SlotId wait_for_slot(const SubmitOptions& options) const;

  Exchange& exchange_;  // thread-safe
  const std::shared_ptr<const Mapping> memory_;
  const ArenaLayout layout_;
  const std::uint32_t most_;
  const std::shared_ptr<LeaseHome> home_;
};

/// The samples of a lease, which are in their slot already.
class LeasedSamples final : public SlotSource {
 public:
  LeasedSamples(std::vector<NamedLayout> tensors, std::uint64_t count, SlotId slot)
      : tensors_(std::move(tensors)), count_(count), slot_(slot) {}
  std::string name() const override { return "leased samples"; }
  ImageShape shape() const override { return {}; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return 0; }
  bool labelled() const override { return false; }
  std::vector<NamedLayout> tensors() const override { return tensors_; }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override;
  void read_into(std::span<const std::uint64_t> indices, const SlotPlace& place) override;

 private:
  const std::vector<NamedLayout> tensors_;
  const std::uint64_t count_;
  const SlotId slot_;
};

/// Throws Error(usage) if samples of this plan cannot be leased.
void refuse_lease(const Plan& plan);

}  // namespace tutti
