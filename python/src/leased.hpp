// Samples that Python writes into the memory that the workers read: NumPy arrays over a tutti::Lease.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include <nanobind/nanobind.h>

#include <tutti/lease.hpp>

namespace tutti::python {

/// Every method is called with the GIL. Arrays that it gave keep the memory mapped, though not the slot. In a process
/// that was forked, the lease is the parent's: nothing of it is given back, and making arrays throws Error(usage).
class Leased {
 public:
  explicit Leased(Lease lease);
  ~Leased();
  Leased(const Leased&) = delete;
  Leased& operator=(const Leased&) = delete;

  /// A dict from the names of the tensors to arrays that can be written, samples first. bfloat16 values are uint16.
  /// Throws Error(usage) unless it is open.
  nanobind::dict arrays() const;
  std::uint32_t count() const { return lease_->count(); }
  bool open() const noexcept { return !is_forked() && lease_->open(); }
  void give_back() noexcept;
  Lease& lease() noexcept { return *lease_; }

 private:
  bool is_forked() const noexcept;
  const pid_t process_;
  std::unique_ptr<Lease> lease_;
};

void bind_leased(nanobind::module_& module);

}  // namespace tutti::python
