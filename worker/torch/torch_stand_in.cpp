// An empty libtorch.so, for packages that name it but need nothing of it. What they need is in libtorch_cpu.so, which
// is already loaded.
