// The limits of control groups, read from made-up trees in the form of cgroups(7): what each level allows, and how much
// of the memory in use the kernel can reclaim.
#include "coordinator/plan/cgroup.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

/// A /proc/self/cgroup and the files below a /sys/fs/cgroup.
class Groups {
 public:
  explicit Groups(const std::string& proc_cgroup) { write("proc_cgroup", proc_cgroup); }
  Groups& with(const std::string& file, const std::string& text) {
    write("mount/" + file, text);
    return *this;
  }
  CgroupLimits limits() const { return cgroup_limits(folder_ / "proc_cgroup", folder_ / "mount"); }

 private:
  void write(const std::string& name, const std::string& text) {
    const auto file = folder_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  TemporaryFolder folder_;
};

TEST_CASE("version 2 limits time and memory") {
  Groups groups("0::/job");
  groups.with("job/cpu.max", "150000 100000").with("job/memory.max", "1000").with("job/memory.current", "400");
  CHECK(groups.limits().cpu_quota == 1.5);
  CHECK(groups.limits().memory_left == 600);
}

TEST_CASE("version 1 limits time and memory in separate folders") {
  Groups groups("11:cpu,cpuacct:/job\n4:memory:/other\n1:name=systemd:/job");
  groups.with("cpu/job/cpu.cfs_quota_us", "50000").with("cpu/job/cpu.cfs_period_us", "100000");
  groups.with("memory/other/memory.limit_in_bytes", "1000").with("memory/other/memory.usage_in_bytes", "300");
  groups.with("memory/job/memory.limit_in_bytes", "10").with("memory/job/memory.usage_in_bytes", "10");
  CHECK(groups.limits().cpu_quota == 0.5);
  CHECK(groups.limits().memory_left == 700);
}

TEST_CASE("if both versions are mounted each gives what it has") {
  Groups groups("4:memory:/job\n0::/user");
  groups.with("memory/job/memory.limit_in_bytes", "1000").with("memory/job/memory.usage_in_bytes", "300");
  groups.with("user/cpu.max", "200000 100000");
  CHECK(groups.limits().cpu_quota == 2.0);
  CHECK(groups.limits().memory_left == 700);
}

TEST_CASE("the tightest level counts wherever it is") {
  Groups groups("0::/a/b/c");
  groups.with("a/cpu.max", "100000 100000").with("a/b/cpu.max", "300000 100000").with("a/b/c/cpu.max", "400000 100000");
  groups.with("a/b/memory.max", "1000").with("a/b/memory.current", "900");
  groups.with("a/b/c/memory.max", "800").with("a/b/c/memory.current", "100");
  groups.with("memory.max", "5000").with("memory.current", "10");
  CHECK(groups.limits().cpu_quota == 1.0);
  CHECK(groups.limits().memory_left == 100);
}

TEST_CASE("the tightest level of version 1 counts wherever it is") {
  Groups groups("3:memory:/a/b\n2:cpu:/a/b");
  groups.with("memory/a/memory.limit_in_bytes", "100").with("memory/a/memory.usage_in_bytes", "40");
  groups.with("memory/a/b/memory.limit_in_bytes", "90").with("memory/a/b/memory.usage_in_bytes", "0");
  groups.with("cpu/a/cpu.cfs_quota_us", "-1").with("cpu/a/cpu.cfs_period_us", "100000");
  groups.with("cpu/a/b/cpu.cfs_quota_us", "250000").with("cpu/a/b/cpu.cfs_period_us", "100000");
  CHECK(groups.limits().memory_left == 60);
  CHECK(groups.limits().cpu_quota == 2.5);
}

TEST_CASE("a group without a limit limits nothing") {
  Groups second("0::/job");
  second.with("job/cpu.max", "max 100000").with("job/memory.max", "max").with("job/memory.current", "400");
  CHECK_FALSE(second.limits().cpu_quota);
  CHECK_FALSE(second.limits().memory_left);
  Groups first("2:cpu:/job\n3:memory:/job");
  first.with("cpu/job/cpu.cfs_quota_us", "-1").with("cpu/job/cpu.cfs_period_us", "100000");
  CHECK_FALSE(first.limits().cpu_quota);
  CHECK_FALSE(first.limits().memory_left);
}

TEST_CASE("the page cache counts as free since the kernel drops it") {
  Groups second("0::/job");
  second.with("job/memory.max", "1000").with("job/memory.current", "900");
  second.with("job/memory.stat", "anon 200\nfile 700\ninactive_anon 5\ninactive_file 400\nactive_file 300");
  CHECK(second.limits().memory_left == 800);
  Groups first("3:memory:/job");
  first.with("memory/job/memory.limit_in_bytes", "1000").with("memory/job/memory.usage_in_bytes", "900");
  first.with("memory/job/memory.stat", "inactive_file 1\nactive_file 1\ntotal_inactive_file 400\ntotal_active_file 50");
  CHECK(first.limits().memory_left == 550);
}

TEST_CASE("more cache than use and more use than the limit give sensible numbers") {
  Groups cached("0::/job");
  cached.with("job/memory.max", "1000").with("job/memory.current", "10").with("job/memory.stat", "active_file 50");
  CHECK(cached.limits().memory_left == 1000);
  Groups full("0::/job");
  full.with("job/memory.max", "1000").with("job/memory.current", "1200");
  CHECK(full.limits().memory_left == 0);
}

TEST_CASE("a container that cannot see the path of its group reads the root of the mount") {
  Groups second("0::/docker/0123abcd");
  second.with("cpu.max", "50000 100000").with("memory.max", "1000").with("memory.current", "100");
  CHECK(second.limits().cpu_quota == 0.5);
  CHECK(second.limits().memory_left == 900);
  Groups first("5:cpu,cpuacct:/docker/0123abcd\n3:memory:/docker/0123abcd");
  first.with("cpu/cpu.cfs_quota_us", "300000").with("cpu/cpu.cfs_period_us", "100000");
  first.with("memory/memory.limit_in_bytes", "1000").with("memory/memory.usage_in_bytes", "250");
  CHECK(first.limits().cpu_quota == 3.0);
  CHECK(first.limits().memory_left == 750);
}

TEST_CASE("the root group of a container is read from the root of the mount") {
  Groups groups("0::/");
  groups.with("cpu.max", "50000 100000");
  CHECK(groups.limits().cpu_quota == 0.5);
}

TEST_CASE("without control groups and with lines that make no sense nothing is limited") {
  const Groups none("");
  CHECK_FALSE(none.limits().cpu_quota);
  CHECK_FALSE(none.limits().memory_left);
  const CgroupLimits missing = cgroup_limits("/nonexistent/cgroup", "/nonexistent");
  CHECK_FALSE(missing.cpu_quota);
  CHECK_FALSE(missing.memory_left);
  Groups nonsense("nonsense\n:\n0:\n");
  nonsense.with("cpu.max", "50000 100000");
  CHECK_FALSE(nonsense.limits().cpu_quota);
  Groups empty("0::/job");
  empty.with("job/cpu.max", "").with("job/memory.max", "").with("job/memory.current", "x");
  CHECK_FALSE(empty.limits().cpu_quota);
  CHECK_FALSE(empty.limits().memory_left);
}

}  // namespace
}  // namespace tutti::test
