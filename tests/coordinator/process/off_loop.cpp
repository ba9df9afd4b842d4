// Not a part of any program: ctest lets clang look at it, as it is and with TUTTI_WITHOUT_LOCK, in which a handler does
// not say that it runs on the loop's thread (tutti_test_of_locks in cmake/TuttiTest.cmake).
#include <boost/asio/post.hpp>

#include "coordinator/process/loop_thread.hpp"

namespace {

class Owner {
 public:
  explicit Owner(boost::asio::io_context& loop) : loop_(loop) {}

  void post() {
    boost::asio::post(loop_, [this] {
#ifndef TUTTI_WITHOUT_LOCK
      tutti::assert_on_loop(loop_);
#endif
      change();
    });
  }

 private:
  void change() TUTTI_REQUIRES(tutti::on_loop) { ++state_; }

  boost::asio::io_context& loop_;
  int state_ TUTTI_GUARDED_BY(tutti::on_loop) = 0;
};

}  // namespace

int main() {
  boost::asio::io_context loop;
  Owner owner(loop);
  owner.post();
  loop.run();
}
