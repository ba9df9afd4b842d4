// Lets a test of permissions mean something for root, who may write anywhere. For tests only.
#pragma once

#include <unistd.h>

#include <cstdlib>

namespace tutti::test {

/// While it lives, the program acts as a user without rights if it ran as root; else nothing changes.
class OrdinaryUser {
 public:
  OrdinaryUser() : was_root_(::geteuid() == 0) {
    if (was_root_ && ::seteuid(65534) != 0) std::abort();
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;
  ~OrdinaryUser() {
    if (was_root_ && ::seteuid(0) != 0) std::abort();
  }

 private:
  bool was_root_;
};

}  // namespace tutti::test
