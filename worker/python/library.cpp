// libtutti-python.so: the worker, for a Python interpreter that is to become one. tutti_worker.py opens it with ctypes.
#include <tutti/error.hpp>

#include "worker/backend_loader.hpp"
#include "worker/host.hpp"
#include "worker/python/python_model.hpp"

/// Called without the GIL, once. `load` is the function of tutti_member.py that makes a member. Returns the exit code.
extern "C" TUTTI_API int tutti_python_main(int argc, char** argv, _object* load) {
  tutti::worker::make_python_models_with(load);
  tutti::worker::host_python_models(tutti::worker::make_python_model);
  // The program that became this interpreter has closed the others. Python may have opened some at its start.
  return tutti::worker::host(argc, argv, tutti::worker::ForeignFds::keep);
}
