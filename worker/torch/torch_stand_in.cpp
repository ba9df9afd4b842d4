// Nothing: libtorch.so for packages that name it without needing anything of it. What they do need stands in
// libtorch_cpu.so, which is loaded already.
